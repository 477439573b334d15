"""An issuer of tokens that only this program resolves: it answers every name with 127.0.0.1, and serves a key over
TLS."""

import http.server
import json
import socket
import ssl
import sys
import threading

# The key of RFC 8037, appendix A, which protects nothing.
KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}


def resolve():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 53))
        while True:
            query, client = names.recvfrom(512)
            names.sendto(answer(query), client)


def answer(query):
    end = query.index(0, 12) + 5  # the name, a zero, the type and the class
    question = query[12:end]
    is_ipv4 = question[-4:-2] == b"\x00\x01"
    counts = b"\x00\x01" + (b"\x00\x01" if is_ipv4 else b"\x00\x00") + b"\x00\x00\x00\x00"
    # The name of the question; type A, class IN, for a minute, four bytes.
    record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01" if is_ipv4 else b""
    return query[:2] + b"\x81\x80" + counts + question + record


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(KEYS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    certificate, key = sys.argv[1:]
    threading.Thread(target=resolve, daemon=True).start()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


main()
