"""Webhooks signed by JWT: RS256 by the pinned key over these very bytes; anything else leaves no trace."""

import json
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from django.test import Client
from django.utils import timezone

from lago_sync.errors import LagoUnavailable
from lago_sync.models import WebhookKey, WebhookMessage
from lago_sync.setup import webhook_key
from orgs.audit.models import AuditEvent
from tests.lago_sync.inbox import tokens
from tests.lago_sync.inbox.messages import KEY, VECTOR, message, send, signed
from tests.lago_sync.inbox.tokens import by_secret, claims, pem, token, unsigned, url64

pytestmark = pytest.mark.django_db

BODY = message("customer.created", customer={"name": "Ann & Co", "amount": 1.10})
TYPED = b'{"alg":"RS256","typ":"JWT"}'
ENDLESS = b'{"a":' * 100_000
LONG = b'{"alg":' + b"9" * 10_000 + b"}"


@pytest.fixture(autouse=True)
def jwt(settings):
    """Expect tokens of one pinned key."""
    settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM = "jwt"
    WebhookKey.objects.create(address=tokens.ISSUER, pem=pem(), pinned_at=timezone.now())


def told(body, signature, algorithm="jwt"):
    return send(body, X_Lago_Signature=signature, X_Lago_Signature_Algorithm=algorithm)


def test_what_lago_signs_is_stored():
    assert told(VECTOR, token(claims(VECTOR))).status_code == 200
    assert WebhookMessage.objects.get().body.encode() == VECTOR


def test_lago_may_call_itself_by_its_public_address(settings):
    settings.LAGO_PUBLIC_URL = "https://lago.example.com"
    for number, issuer in enumerate(("https://lago.example.com", "http://127.0.0.1:9/")):
        body = message("x.y", number=number)
        assert told(body, token(claims(body, iss=issuer))).status_code == 200


def forged():
    """Yield what a forger would try: name, signature, algorithm header (jwt where left out)."""
    good = token(claims(BODY))
    head, said, signature = good.split(".")
    stranger = tokens.key("a stranger's")
    past, future = int(time.time()) - 60, int(time.time()) + 3600
    yield "another's key", token(claims(BODY), by=stranger)
    yield (
        "another's key that it brings along",
        token(claims(BODY), by=stranger, jwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    )
    yield (
        "another's key at an address",
        token(claims(BODY), by=stranger, jku="https://forger.example/keys", x5u="https://forger.example/x"),
    )
    yield "not signed, alg none", f"{unsigned(claims(BODY), alg='none')}."
    yield "not signed, alg None", f"{unsigned(claims(BODY), alg='None')}."
    yield "not signed, alg NONE with the signature", f"{unsigned(claims(BODY), alg='NONE')}.{signature}"
    yield "not signed, alg RS256", f"{unsigned(claims(BODY))}."
    yield "no algorithm at all", f"{unsigned(claims(BODY), alg=None)}.{signature}"
    yield "an algorithm that is a list", f"{unsigned(claims(BODY), alg=['RS256'])}.{signature}"
    yield "HS256 with the public key", by_secret(claims(BODY), pem().encode())
    yield "HS256 with the public key, stripped", by_secret(claims(BODY), pem().strip().encode())
    yield "HS256 with the HMAC key", by_secret(claims(BODY), KEY.encode())
    yield "HS256 with nothing", by_secret(claims(BODY), b"")
    yield "HS256 said to be RS256", by_secret(claims(BODY), pem().encode(), "RS256")
    yield "RS384", token(claims(BODY), digest=hashes.SHA384(), alg="RS384")
    yield "RS512", token(claims(BODY), digest=hashes.SHA512(), alg="RS512")
    yield "SHA-512 said to be RS256", token(claims(BODY), digest=hashes.SHA512())
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    yield "PS256", token(claims(BODY), pad=pss, alg="PS256")
    yield "PSS said to be RS256", token(claims(BODY), pad=pss)
    text = unsigned(claims(BODY), alg="ES256")
    elliptic = tokens.elliptic().sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    yield "ES256 of a key of its own", f"{text}.{url64(elliptic)}"
    yield "the issuer left out", token(claims(BODY, iss=None))
    yield "another issuer", token(claims(BODY, iss="https://api.getlago.com"))
    yield "an issuer that begins like ours", token(claims(BODY, iss=f"{tokens.ISSUER}.forger.example"))
    yield "an issuer with our path", token(claims(BODY, iss=f"{tokens.ISSUER}/api/v1"))
    yield "an empty issuer", token(claims(BODY, iss=""))
    yield "an issuer that is a list", token(claims(BODY, iss=[tokens.ISSUER]))
    yield "the data left out", token(claims(BODY, data=None))
    yield "the data of another message", token(claims(message("customer.updated")))
    yield "the data with a blank more", token(claims(BODY + b" "))
    yield "the data as an object", token(claims(BODY, data=json.loads(BODY)))
    yield "the data written again", token(claims(BODY, data=json.dumps(json.loads(BODY), sort_keys=True)))
    yield "the data as a list", token(claims(BODY, data=[BODY.decode()]))
    yield "the data as a digest", token(claims(BODY, data=hashes.SHA256.name))
    yield "claims that are no object", token([BODY.decode()])
    yield "claims that are no JSON", token(b"data")
    yield "out of date", token(claims(BODY, exp=past))
    yield "not valid yet", token(claims(BODY, nbf=future))
    yield "for somebody else", token(claims(BODY, aud="another portal"))
    yield "an extension that must be understood", token(claims(BODY), crit=["exp2"], exp2=1)
    yield "a payload apart", f"{head}..{signature}"
    yield "signature changed", f"{head}.{said}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "signature cut", f"{head}.{said}.{signature[:-4]}"
    yield "without a signature", f"{head}.{said}"
    yield "claims of another", f"{head}.{url64(json.dumps(claims(VECTOR)).encode())}.{signature}"
    yield "head of another", f"{url64(TYPED)}.{said}.{signature}"
    yield "one part more", f"{good}.{signature}"
    yield "twice", f"{good},{good}"
    yield "a scheme before it", f"Bearer {good}"
    yield "no token", "hello"
    yield "only dots", ".."
    yield "letters of no alphabet", "\u00e9.\u00e9.\u00e9"
    yield "a head without an end", f"{url64(ENDLESS)}.{said}.{signature}"
    yield "a head of brackets", f"{url64(b'[' * 200_000)}.{said}.{signature}"
    yield "a number without an end", f"{url64(LONG)}.{said}.{signature}"
    yield "empty", ""
    yield "missing", None
    yield "HMAC of the body", signed(BODY)
    yield "HMAC of the body, said so", signed(BODY), "hmac"
    yield "HMAC with the public key", signed(BODY, key=pem()), "hmac"
    yield "right, said to be hmac", good, "hmac"
    yield "right, said in capitals", good, "JWT"
    yield "right, algorithm left out", good, None


FORGED = {name: rest for name, *rest in forged()}


def test_there_are_enough_of_them():
    assert len(FORGED) >= 60


@pytest.mark.parametrize("given", FORGED.values(), ids=FORGED.keys())
def test_forged(given):
    answer = told(BODY, *given)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert not WebhookMessage.objects.exists()


@pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], BODY.replace(b"1.1", b"9.1"), b"", b"\xff" + BODY])
def test_altered_after_signing(body):
    assert told(body, token(claims(BODY))).status_code == 401
    assert not WebhookMessage.objects.exists()


def test_where_hmac_is_expected_a_true_token_is_refused(settings):
    settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM = "hmac"
    assert told(BODY, token(claims(BODY))).status_code == 401


class TestThePinnedKey:
    def test_without_one_nobody_is_believed_and_the_health_page_says_so(self):
        WebhookKey.objects.all().delete()
        assert told(BODY, token(claims(BODY))).status_code == 401
        found = Client().get("/webhooks/lago/health").json()
        assert (found["status"], found["signature"]) == ("not_configured", "jwt")

    def test_one_of_another_lago_counts_for_nothing(self, settings):
        settings.LAGO_API_URL = "http://127.0.0.1:10/api/v1"
        assert told(BODY, token(claims(BODY, iss="http://127.0.0.1:10"))).status_code == 401

    def test_another_key_is_taken_only_when_somebody_pins_it(self, monkeypatch):
        new = tokens.key("Lago's new one")
        monkeypatch.setattr(webhook_key.organization, "public_key", lambda: pem(new))
        assert told(BODY, token(claims(BODY), by=new)).status_code == 401
        assert webhook_key.differs()
        assert "in place of" in webhook_key.pin(now=timezone.now() + timedelta(days=1))
        assert told(BODY, token(claims(BODY), by=new)).status_code == 200
        assert told(VECTOR, token(claims(VECTOR))).status_code == 401
        [audit] = AuditEvent.objects.filter(action="webhook_key.pinned")
        assert (audit.target, audit.before) == (tokens.ISSUER, {"key": webhook_key.fingerprint(pem())})

    @pytest.mark.parametrize("found", ["", "hello", pem(tokens.elliptic())])
    def test_what_is_no_rsa_key_is_not_pinned(self, monkeypatch, found):
        monkeypatch.setattr(webhook_key.organization, "public_key", lambda: found)
        with pytest.raises(LagoUnavailable):
            webhook_key.pin(now=timezone.now())
        assert WebhookKey.objects.get().pem == pem()


def test_the_token_is_compared_with_the_bytes_and_not_with_what_they_mean():
    escaped = VECTOR.replace(rb"\u0026", b"&")
    assert json.loads(escaped) == json.loads(VECTOR)
    assert told(escaped, token(claims(VECTOR))).status_code == 401
