"""The bytes of a message and their signature."""

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lago_sandbox import settings

_ESCAPED: Final = {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def encode(message: dict[str, Any]) -> str:
    """Return JSON as Rails writes it: no blanks, UTF-8, and & < > U+2028 U+2029 escaped."""
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    for character, escaped in _ESCAPED.items():
        text = text.replace(character, escaped)
    return text


def signature(algorithm: str, body: bytes) -> str:
    """Return the value of X-Lago-Signature."""
    return sign(body, settings.HMAC_KEY) if algorithm == "hmac" else token(body)


def sign(body: bytes, key: str) -> str:
    """Return base64(HMAC-SHA256(key as ASCII, body))."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def token(body: bytes) -> str:
    """Return a JWS (RS256) that carries the whole body as its claim `data`."""
    parts = [{"alg": "RS256"}, {"data": body.decode(), "iss": settings.URL}]
    text = ".".join(_url64(json.dumps(one, separators=(",", ":")).encode()) for one in parts)
    return f"{text}.{_url64(_key().sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def public_key() -> str:
    """Return the PEM as base64, as Lago does."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.encodebytes(_key().public_key().public_bytes(serialization.Encoding.PEM, form)).decode()


@cache
def _key() -> rsa.RSAPrivateKey:
    """Return the key of this folder; made at first need and kept, so that a restart changes nothing."""
    file = settings.FOLDER / "webhooks.pem"
    if not file.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        file.chmod(0o600)
    found = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(found, rsa.RSAPrivateKey):
        raise TypeError(f"{file} is not an RSA key")
    return found


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
