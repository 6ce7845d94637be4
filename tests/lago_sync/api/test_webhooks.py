"""`POST /webhooks/lago`: what is signed by our Lago is stored once, anything else leaves no trace."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from lago_sync import tasks
from lago_sync.inbox import handling
from lago_sync.models import WebhookMessage
from tests.factories.broker import jobs_go_to
from tests.lago_sync.inbox.messages import KEY, VECTOR, VECTOR_SIGNATURE, headers, message, send, signed

pytestmark = pytest.mark.django_db

BODY = message("customer.created", customer={"name": "Ann & Co", "amount": 1.10})


@pytest.fixture
def nobody_works(monkeypatch):
    """Note what would be handled at once, instead of asking a broker."""
    asked = []
    monkeypatch.setattr(tasks, "enqueue_webhook", asked.append)
    return asked


def is_refused(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["error"]["code"]) == (status, code), body
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    return True


def test_the_signature_is_lagos_own_for_lagos_own_example():
    assert signed(VECTOR) == VECTOR_SIGNATURE
    answer = send(VECTOR, X_Lago_Signature=VECTOR_SIGNATURE)
    assert (answer.status_code, answer.json()) == (200, {"status": "stored"})
    stored = WebhookMessage.objects.get()
    assert (stored.webhook_type, stored.body.encode(), stored.state) == ("wallet.updated", VECTOR, "waiting")


def test_it_is_handed_to_a_worker_once_it_is_committed(nobody_works, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        send(BODY)
    assert nobody_works == [WebhookMessage.objects.get().pk]


def test_without_a_broker_it_is_stored_and_answered_as_ever(django_capture_on_commit_callbacks):
    started = time.monotonic()
    with jobs_go_to("redis://127.0.0.1:1/0"), django_capture_on_commit_callbacks(execute=True):
        assert send(BODY).status_code == 200
    assert WebhookMessage.objects.count() == 1
    assert time.monotonic() - started < 5


def jwt(body, algorithm="none", secret=b""):
    """Return a token as Lago's other algorithm has it, signed with nothing or with what anybody knows."""

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    text = (
        part(json.dumps({"alg": algorithm}).encode())
        + b"."
        + part(json.dumps({"data": body.decode()}).encode())
    )
    return (text + b"." + (part(hmac.digest(secret, text, hashlib.sha256)) if secret else b"")).decode()


def changed(text, at):
    other = "A" if text[at] != "A" else "B"
    return text[:at] + other + text[at + 1 :]


RIGHT = signed(BODY)
DIGEST = hmac.digest(KEY.encode(), BODY, hashlib.sha256)
FORGED = {
    "no signature": {"X_Lago_Signature": None},
    "an empty signature": {"X_Lago_Signature": ""},
    "no algorithm": {"X_Lago_Signature_Algorithm": None},
    "an empty algorithm": {"X_Lago_Signature_Algorithm": ""},
    "neither": {"X_Lago_Signature": None, "X_Lago_Signature_Algorithm": None},
    "another key": {"X_Lago_Signature": signed(BODY, key="99999999-2222-3333-4444-555555555555")},
    "the empty key": {"X_Lago_Signature": signed(BODY, key="")},
    "the key in capitals": {"X_Lago_Signature": signed(BODY, key=KEY.upper().replace("1", "A"))},
    "the key as bytes of its digits": {
        "X_Lago_Signature": base64.b64encode(
            hmac.digest(bytes.fromhex(KEY.replace("-", "")), BODY, hashlib.sha256)
        ).decode()
    },
    "hexadecimal": {"X_Lago_Signature": DIGEST.hex()},
    "base64 of the hexadecimal": {"X_Lago_Signature": base64.b64encode(DIGEST.hex().encode()).decode()},
    "base64 for addresses": {"X_Lago_Signature": base64.urlsafe_b64encode(DIGEST).decode().rstrip("=")},
    "without padding": {"X_Lago_Signature": RIGHT.rstrip("=")},
    "another spelling of the same bits": {"X_Lago_Signature": changed(RIGHT, -2)},
    "one letter changed": {"X_Lago_Signature": changed(RIGHT, 0)},
    "cut short": {"X_Lago_Signature": RIGHT[:20]},
    "its first 16 bytes": {"X_Lago_Signature": base64.b64encode(DIGEST[:16]).decode()},
    "something behind it": {"X_Lago_Signature": RIGHT + "AAAA"},
    "blanks around it": {"X_Lago_Signature": f" {RIGHT} "},
    "a line break in it": {"X_Lago_Signature": f"{RIGHT[:20]}\n{RIGHT[20:]}"},
    "the header twice": {"X_Lago_Signature": f"{RIGHT},{RIGHT}"},
    "a wrong one before it": {"X_Lago_Signature": f"AAAA, {RIGHT}"},
    "sha256= before it": {"X_Lago_Signature": f"sha256={RIGHT}"},
    "letters of no alphabet": {"X_Lago_Signature": "\u00e9" * 44},
    "the key itself": {"X_Lago_Signature": KEY},
    "plain SHA-256": {"X_Lago_Signature": base64.b64encode(hashlib.sha256(BODY).digest()).decode()},
    "plain SHA-256 of key and body": {
        "X_Lago_Signature": base64.b64encode(hashlib.sha256(KEY.encode() + BODY).digest()).decode()
    },
    "SHA-1": {"X_Lago_Signature": base64.b64encode(hmac.digest(KEY.encode(), BODY, "sha1")).decode()},
    "SHA-512": {"X_Lago_Signature": base64.b64encode(hmac.digest(KEY.encode(), BODY, "sha512")).decode()},
    "algorithm jwt": {"X_Lago_Signature_Algorithm": "jwt"},
    "a jwt that is not signed": {"X_Lago_Signature_Algorithm": "jwt", "X_Lago_Signature": jwt(BODY)},
    "a jwt that is not signed as hmac": {"X_Lago_Signature": jwt(BODY)},
    "a jwt signed with the key": {
        "X_Lago_Signature_Algorithm": "jwt",
        "X_Lago_Signature": jwt(BODY, "HS256", KEY.encode()),
    },
    "a jwt signed with a public key": {
        "X_Lago_Signature_Algorithm": "jwt",
        "X_Lago_Signature": jwt(BODY, "HS256", b"-----BEGIN PUBLIC KEY-----"),
    },
    "algorithm none": {"X_Lago_Signature_Algorithm": "none"},
    "algorithm HMAC": {"X_Lago_Signature_Algorithm": "HMAC"},
    "algorithm hmac and a blank": {"X_Lago_Signature_Algorithm": "hmac "},
    "algorithm hmac twice": {"X_Lago_Signature_Algorithm": "hmac,hmac"},
    "algorithm hmac-sha256": {"X_Lago_Signature_Algorithm": "hmac-sha256"},
}


@pytest.mark.parametrize("wrong", FORGED.values(), ids=FORGED.keys())
def test_forged(wrong):
    assert is_refused(send(BODY, **wrong), 401, "unauthorized")
    assert not WebhookMessage.objects.exists()


ALTERED = {
    "one byte": BODY.replace(b"1.1", b"9.1"),
    "a blank at the end": BODY + b" ",
    "a line break at the end": BODY + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + BODY,
    "one byte less": BODY[:-1],
    "nothing": b"",
    "written again": json.dumps(json.loads(BODY), separators=(",", ":")).encode(),
    "the names in another order": json.dumps(json.loads(BODY), sort_keys=True).encode(),
    "an escape resolved": VECTOR.replace(rb"\u0026", b"&"),
}


@pytest.mark.parametrize("body", ALTERED.values(), ids=ALTERED.keys())
def test_altered_after_signing(body):
    signature = VECTOR_SIGNATURE if b"1a901a90" in body else RIGHT
    assert is_refused(send(body, X_Lago_Signature=signature), 401, "unauthorized")
    assert not WebhookMessage.objects.exists()


def test_while_the_key_is_rotated_both_are_believed_and_no_third(settings):
    settings.LAGO_WEBHOOK_HMAC_KEY = "the-new-key, the-old-key"
    for number, key in enumerate(("the-new-key", "the-old-key")):
        body = message("customer.updated", number=number)
        assert send(body, X_Lago_Signature=signed(body, key=key)).status_code == 200
    for key in ("", "the-new-key, the-old-key", " the-old-key", KEY):
        assert is_refused(send(BODY, X_Lago_Signature=signed(BODY, key=key)), 401, "unauthorized")
    assert WebhookMessage.objects.count() == 2


@pytest.mark.parametrize("with_key", ["", KEY])
def test_without_a_key_of_our_own_nobody_is_believed(settings, with_key):
    for nothing in ("", ",", " , "):
        settings.LAGO_WEBHOOK_HMAC_KEY = nothing
        assert is_refused(send(BODY, X_Lago_Signature=signed(BODY, key=with_key)), 401, "unauthorized")
    assert not WebhookMessage.objects.exists()


def test_what_is_not_signed_is_not_even_parsed():
    deep = b'{"a":' * 100_000
    assert is_refused(send(deep, X_Lago_Signature="AAAA"), 401, "unauthorized")


def test_a_repeat_is_answered_like_the_first_and_stored_once(
    nobody_works, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        answers = [send(BODY, unique="the-same") for _ in range(3)]
    assert [(one.status_code, one.json()) for one in answers] == [(200, {"status": "stored"})] * 3
    assert WebhookMessage.objects.count() == len(nobody_works) == 1


class TestTheSameWordsAgain:
    """Under another unique key, which is not signed: Lago says the same again, or somebody who heard it once."""

    def repeated(self):
        assert send(BODY, unique="another").json() == {"status": "stored"}
        [message] = WebhookMessage.objects.all()
        return message

    def test_they_are_no_second_message_while_the_first_waits(self):
        send(BODY, unique="one")
        before = WebhookMessage.objects.get()
        after = self.repeated()
        assert (after.unique_key, after.state, after.due_at) == ("one", "waiting", before.due_at)

    def test_after_the_first_was_handled_it_is_looked_at_again_once_a_minute(self):
        send(BODY, unique="one")
        handled = timezone.now()
        WebhookMessage.objects.update(state="handled", handled_at=handled, attempts=3)
        for _ in range(3):
            message = self.repeated()
            assert (message.state, message.attempts) == ("waiting", 0)
            assert message.due_at == handled + timedelta(minutes=1)

    def test_whoever_handles_the_first_just_then_cannot_end_it(self, monkeypatch):
        send(BODY, unique="one")
        monkeypatch.setattr(handling, "_act", lambda *_: self.repeated() and "handled")
        handling.handle(message_id=WebhookMessage.objects.get().pk, now=timezone.now())
        assert WebhookMessage.objects.get().state == "waiting"

    def test_a_dead_letter_stays_one(self):
        send(BODY, unique="one")
        WebhookMessage.objects.update(state="dead", attempts=5, failures=5)
        assert self.repeated().state == "dead"


@pytest.mark.parametrize("key", [None, "", "k" * 129, "k\u00e9y", "a\tb"])
def test_a_message_needs_a_key_that_tells_it_from_others(key):
    assert is_refused(send(BODY, X_Lago_Unique_Key=key), 400, "invalid_request")
    assert not WebhookMessage.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b'"text"', b"1", b"{", b"\xff\xfe{}", b'{"a":"\x00"}', b"[" * 100_000]
)
def test_what_is_signed_but_no_json_object_is_refused(body):
    assert is_refused(send(body), 400, "invalid_request")
    assert not WebhookMessage.objects.exists()


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("quote.made_of_cheese", "quote.made_of_cheese"),
        ("x" * 300, "x" * 64),
        (None, ""),
        (7, ""),
        ("a\x00b", ""),
        ("\ud800", ""),
    ],
)
def test_a_type_that_nobody_knows_is_stored_all_the_same(kind, stored):
    answer = send(json.dumps({"webhook_type": kind}).encode())
    assert answer.status_code == 200
    assert WebhookMessage.objects.get().webhook_type == stored


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 10 * 1024 * 1024])
def test_a_body_beyond_a_mebibyte_is_refused_unread(size):
    assert is_refused(send(b" " * size), 413, "too_large")
    assert not WebhookMessage.objects.exists()


def test_a_body_of_a_mebibyte_is_taken():
    frame = len(message("x.y", filling=""))
    assert send(message("x.y", filling="a" * (1024 * 1024 - frame))).status_code == 200


def test_from_elsewhere_than_the_addresses_that_are_named_nothing_is_taken(settings):
    settings.LAGO_WEBHOOK_ALLOWED_IPS = ["10.1.0.0/16", "192.0.2.7"]
    assert is_refused(send(BODY, address="127.0.0.1"), 401, "unauthorized")
    assert is_refused(send(BODY, address="10.2.0.1"), 401, "unauthorized")
    assert not WebhookMessage.objects.exists()
    assert send(BODY, address="10.1.2.3").status_code == 200
    assert send(BODY, address="192.0.2.7").status_code == 200


def test_who_forwards_an_address_is_not_believed_for_it(settings):
    settings.LAGO_WEBHOOK_ALLOWED_IPS = ["10.1.0.0/16"]
    assert is_refused(send(BODY, X_Forwarded_For="10.1.2.3"), 401, "unauthorized")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_refused_in_the_one_shape(method):
    answer = Client(raise_request_exception=False).generic(method, "/webhooks/lago", headers=headers(b""))
    assert is_refused(answer, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path", ["/webhooks/lago/", "/webhooks/stripe", "/webhooks/", "/webhooks/lago/health/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_any_other_address_answers_in_the_one_shape(method, path):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    assert is_refused(client.generic(method, path), 404, "not_found")


class TestHealth:
    def test_it_tells_anybody_whether_messages_come_and_are_handled(self):
        send(BODY)
        answer = Client().get("/webhooks/lago/health")
        received = WebhookMessage.objects.get().received_at
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "ok",
            "signature": "hmac",
            "last_received_at": received.isoformat(),
            "oldest_waiting_at": received.isoformat(),
            "waiting": 1,
            "dead": 0,
            "lago": "ok",
        }

    def test_it_says_so_where_no_message_could_be_believed(self, settings):
        settings.LAGO_WEBHOOK_HMAC_KEY = ""
        assert Client().get("/webhooks/lago/health").json()["status"] == "not_configured"

    def test_it_shows_no_secret(self, settings):
        text = Client().get("/webhooks/lago/health").content.decode()
        assert settings.LAGO_WEBHOOK_HMAC_KEY not in text
        assert settings.LAGO_API_KEY not in text
