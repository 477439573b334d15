"""A TCP proxy that makes a database slow: it delays the client's bytes, and forwards the server's at once.

python3 delay_proxy.py SERVER_PORT SECONDS      prints the port that it listens on
"""

from __future__ import annotations

import asyncio
import sys


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Forwards each chunk `delay` seconds after its arrival. The delays of chunks overlap."""
    loop = asyncio.get_running_loop()
    held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def receive() -> None:
        while data := await reader.read(65536):
            held.put_nowait((loop.time() + delay, data))
        held.put_nowait((loop.time(), b""))

    receiver = asyncio.create_task(receive())
    try:
        while True:
            due, data = await held.get()
            if not data:
                break
            await asyncio.sleep(due - loop.time())
            writer.write(data)
            await writer.drain()
    finally:
        receiver.cancel()
        writer.close()


async def serve(server_port: int, delay: float) -> None:
    async def connect(client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
        await asyncio.gather(
            hold(client_reader, server_writer, delay), hold(server_reader, client_writer, 0), return_exceptions=True
        )

    listener = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
