"""Webhooks signed by JWT, as Lago signs them and as forgers would."""

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

ISSUER: Final = "http://127.0.0.1:9"
"""LAGO_API_URL of the tests."""


@cache
def key(name: str = "Lago's") -> rsa.RSAPrivateKey:
    """Return an RSA key of somebody, always the same."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(of: Any = None) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = (of or key()).public_key()
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def elliptic() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(body: bytes, **other: Any) -> dict[str, Any]:
    """Return Lago's claims for a body; None leaves one out."""
    found = {"data": body.decode(), "iss": ISSUER, **other}
    return {name: value for name, value in found.items() if value is not None}


def unsigned(said: Any, **header: Any) -> str:
    """Return head and claims of a token; bytes are taken as they are."""
    head = {"alg": "RS256", **header}
    told = said if isinstance(said, bytes) else json.dumps(said).encode()
    return f"{url64(json.dumps(head).encode())}.{url64(told)}"


def token(
    said: Any, *, by: rsa.RSAPrivateKey | None = None, digest: Any = None, pad: Any = None, **header: Any
) -> str:
    """Return a token as Lago makes it, by its key."""
    text = unsigned(said, **header)
    signature = (by or key()).sign(text.encode(), pad or padding.PKCS1v15(), digest or hashes.SHA256())
    return f"{text}.{url64(signature)}"


def by_secret(said: Any, secret: bytes, algorithm: str = "HS256") -> str:
    """Return a token signed with what anybody knows."""
    text = unsigned(said, alg=algorithm)
    return f"{text}.{url64(hmac.digest(secret, text.encode(), hashlib.sha256))}"
