"""Tokens with all scopes, and the secret with which the service checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

SECRET = "of the proofs only: 0123456789abcdef"


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def credentials(subject: str) -> str:
    """The value of the header `Authorization` for a caller of this name."""
    claims = {"sub": subject, "scope": "users:read users:write", "exp": int(time.time()) + 86_400}
    message = ".".join(_part(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"Bearer {message}.{_part(hmac.digest(SECRET.encode(), message.encode(), hashlib.sha256))}"


CREDENTIALS = credentials("prover")
