"""A load in a closed loop: wrk, with one thread."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bearer import CREDENTIALS
from children import Children

SCRIPT = str(Path(__file__).parent.parent / "measuring" / "wrk.lua")
# How long a run may take beyond its load, for late answers.
PATIENCE = 30


@dataclass
class Answers:
    requests: int
    rate: float
    refused: int
    """Answers with other statuses than 2xx and 3xx."""
    broken: int
    """Requests without an answer within 10 s."""
    p50: float
    p99: float


class Wrk:
    """Sends GET of random paths or, without paths, POST of new users to `create`, followed by `padding` spaces."""

    def __init__(
        self,
        children: Children,
        folder: Path,
        url: str,
        *,
        connections: int,
        seconds: int,
        paths: list[str] | None = None,
        create: str = "/api/v2/users",
        padding: int = 0,
    ) -> None:
        self._children = children
        self._seconds = seconds
        self._output = folder / "wrk"
        # No address repeats.
        env = {**os.environ, "SEED": secrets.token_hex(8), "PADDING": str(padding)}
        if paths is None:
            env["CREATE"] = create
        else:
            (folder / "paths").write_text("\n".join(paths))
            env["PATHS"] = str(folder / "paths")
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
        command += ["--timeout", "10s", "--script", SCRIPT, "--header", f"Authorization: {CREDENTIALS}", url]
        with open(self._output, "wb") as output:
            self._process = children.start(command, cwd=str(folder), output=output, env=env)

    def finish(self) -> Answers:
        """Waits for the end of the run."""
        try:
            self._process.wait(self._seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"wrk did not end: {self._output.read_text()}") from None
        finally:
            self._children.stop(self._process)
        if self._process.returncode != 0:
            raise RuntimeError(f"wrk failed: {self._output.read_text()}")
        found = json.loads(self._output.read_text().splitlines()[-1])
        rate = found["requests"] / found["microseconds"] * 1e6
        p50, p99 = found["p50_us"] / 1e6, found["p99_us"] / 1e6
        return Answers(found["requests"], rate, found["refused"], found["broken"], p50, p99)
