"""The script's progress and error messages."""

import sys
import time
from typing import NoReturn

_START = time.monotonic()


def step(text):
    print(f"==> [{time.monotonic() - _START:.0f} s] {text}", file=sys.stderr, flush=True)


def fail(text) -> NoReturn:
    raise SystemExit(f"scripts/measure: {text}")
