"""Bad input: one corpus, every field, every endpoint. Never a 5xx; what is refused leaves every table as it was."""

import json
from typing import Any, Final

import pytest

from tests.credits.api.corpus import FIELDS, ODD_TEXTS, RAW, READS, SPEND
from tests.factories import api
from tests.factories.api import MODEL, Http, Scene, books, error_of
from tests.factories.remembered import Remembered

pytestmark = pytest.mark.django_db


def _prepare() -> tuple[Scene, dict[str, str]]:
    """Return the scene with a platform key, a hold and a charge, and what paths and bodies of the corpus name."""
    scene = api.scene()
    scene.keys["platform"] = scene.key_text("platform")
    client = Http(key=scene.keys["platform"])
    named = {"org_id": scene.org.public_id, "user_id": scene.id_of("member"), "credits": "5"}
    return scene, {
        "hold": client.post("/usage/holds", named | {"transaction_id": "h"}).json()["hold"]["id"],
        "charge": client.post("/usage/charges", named | {"transaction_id": "c"}).json()["charge"]["id"],
        "credits": scene.credits,
        "user": scene.id_of("member"),
        "org": scene.org.public_id,
    }


_prepared = Remembered(_prepare)


@pytest.fixture
def prepared(db: None) -> tuple[Scene, dict[str, str]]:
    return _prepared.get()


@pytest.fixture
def scene(prepared: tuple[Scene, dict[str, str]]) -> Scene:
    return prepared[0]


@pytest.fixture
def places(prepared: tuple[Scene, dict[str, str]]) -> dict[str, str]:
    return prepared[1]


def sent(client: Http, method: str, path: str, body: Any, org: str) -> Any:
    headers = {"X_Organization": org} if path.startswith("/usage") and "org_id" not in body else {}
    return client.send(method, path, body, **headers)


@pytest.mark.parametrize(
    ("method", "path", "good", "name", "values"), FIELDS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_bad_value_is_refused_and_changes_nothing(scene, places, method, path, good, name, values):
    client = Http(key=scene.keys["platform"])
    body = {key: value.format(**places) if isinstance(value, str) else value for key, value in good.items()}
    before = books()
    for value in values:
        answer = sent(client, method, path.format(**places), body | {name: value}, places["org"])
        assert 400 <= answer.status_code < 500, (value, answer.status_code, answer.content[:300])
        inside = error_of(answer)
        if inside["code"] == "validation_error":
            assert inside["details"], value
    assert books() == before


@pytest.mark.parametrize("name", ["service", "provider", "model", "metadata", "transaction_id", "notes"])
def test_odd_but_lawful_text_is_kept_to_the_letter_or_refused(scene, places, name):
    client = Http(key=scene.keys["platform"])
    for number, text in enumerate(ODD_TEXTS):
        body: dict[str, Any] = SPEND | {"transaction_id": f"odd{number}", "user_id": places["user"]}
        if name == "notes":
            answer = client.post(
                f"{scene.credits}/allocate", {"user_id": places["user"], "credits": "90", "notes": text}
            )
            assert answer.status_code in (200, 422), answer.content
            continue
        value: Any = {text: text, "n": 1.25, "b": None} if name == "metadata" else text
        answer = client.post("/usage/charges", body | {name: value}, X_Organization=places["org"])
        assert answer.status_code in (201, 422), (text, answer.content)
        if answer.status_code == 201 and name != "metadata":
            assert answer.json()["charge"][name] == text
    assert client.ask(f"{scene.credits}/records").status_code == 200
    assert client.ask(f"{scene.credits}/usage?group_by=model&format=csv").status_code == 200


@pytest.mark.parametrize("longest", [("service", 64), ("provider", 64), ("model", 128)])
def test_text_of_the_greatest_length_is_kept(scene, longest):
    name, length = longest
    text = "\U0001f986" * length
    for path, field in (("/usage/holds", "hold"), ("/usage/charges", "charge")):
        body = SPEND | {"transaction_id": f"{path}{'x' * 100}", name: text}
        answer = scene.key("membership").post(path, body)
        assert answer.status_code == 201, answer.content
        assert answer.json()[field][name] == text


def test_the_greatest_amounts_of_many_requests_never_break_a_sum(scene):
    client = Http(key=scene.keys["platform"])
    for number in range(3):
        body = {
            "transaction_id": f"t{number}", "credits": "1000000000", "org_id": scene.org.public_id, "after_the_fact": True,
            "user_id": scene.id_of("member"), "model": MODEL, "input_tokens": 1_000_000_000, "output_tokens": 1_000_000_000,
        }  # fmt: skip
        assert client.post("/usage/charges", body).status_code == 201
    usage = client.ask(f"{scene.credits}/usage?group_by=model")
    assert usage.status_code == 200
    assert usage.json()["total_tokens"] == 6_000_000_000


WRITES: Final = [
    ("POST", path) for path in (
        "/usage/holds", "/usage/charges", "/usage/charges/batch", "/usage/check", "/usage/estimate", "/usage/keys/introspect",
        "/usage/holds/{hold}/capture", "/usage/charges/{charge}/reverse", "{credits}/allocate")
] + [("PATCH", "{credits}/allocations/{user}")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_body_that_is_none_is_refused_and_changes_nothing(scene, places, method, path):
    client, before = Http(key=scene.keys["platform"]), books()
    for what, (body, kind, statuses) in RAW.items():
        answer = client.raw(method, path.format(**places), body, kind=kind, X_Organization=places["org"])
        wanted = {400, 404, 422} if what == "3 MB" and path.endswith("batch") else statuses
        assert answer.status_code in wanted, (what, answer.status_code, answer.content[:300])
        error_of(answer)
    assert books() == before


@pytest.mark.parametrize("path", sorted({path for path, _ in READS}))
def test_a_bad_query_is_422_and_never_reaches_sql(scene, path):
    client = scene.key("organization")
    for wanted, query in READS:
        if wanted == path:
            answer = client.ask(f"{path.format(credits=scene.credits)}?{query}")
            lenient = query.endswith("=")  # an empty parameter may count as not given
            assert answer.status_code == 422 or (lenient and answer.status_code == 200), (
                query,
                answer.content,
            )
            if answer.status_code == 422:
                assert query.partition("=")[0] in error_of(answer)["details"]


@pytest.mark.parametrize(
    "odd",
    [
        "user_id=usr_none",
        "department_id=dep_none",
        "service=%F0%9F%A6%86",
        "model=%27--",
        "search=%25_",
        "user_id=%20",
    ],
)
def test_a_filter_that_matches_nothing_finds_nothing(scene, odd):
    scene.key("membership").post("/usage/charges", SPEND)
    client = scene.key("organization")
    if odd.startswith("search"):
        assert client.ask(f"{scene.credits}/allocations?{odd}").json()["data"] == []
        return
    assert client.ask(f"{scene.credits}/usage?{odd}").json()["total_credits"] == "0"
    assert client.ask(f"{scene.credits}/records?{odd}").json()["data"] == []


PATHS: Final = ["{credits}", "{credits}/usage", "{credits}/allocations/{bad}", "/usage/holds/{bad}", "/org-billing/credits/{bad}", "/org-billing/credits/{bad}/ledger"]  # fmt: skip


@pytest.mark.parametrize(
    "bad", ["%00", "1", "org_' OR 1=1--", "x" * 300, "%F0%9F%92%B8", "..%2f", "%ED%A0%80", "org_%0d%0aX:1"]
)
def test_an_id_that_is_none_is_404(scene, bad):
    client = Http(key=scene.keys["platform"])
    for path in PATHS:
        if "{bad}" in path:
            answer = client.ask(path.format(bad=bad, credits=scene.credits))
            assert answer.status_code == 404, (path, answer.content[:200])
            assert error_of(answer)["code"] == "not_found"
            assert "X" not in answer.headers


@pytest.mark.parametrize("key", ["\xff", "x" * 129, "a\tb", "é"])
def test_an_idempotency_key_that_is_none_is_400(scene, key):
    before = books()
    answer = scene.http("owner").post(
        f"{scene.credits}/allocate", {"user_id": scene.id_of("member"), "credits": "1"}, Idempotency_Key=key
    )
    assert answer.status_code == 400, answer.content
    assert error_of(answer)["code"] == "invalid_request"
    assert {k: v for k, v in books().items() if k.startswith(("credits_", "audit_"))} == {
        k: v for k, v in before.items() if k.startswith(("credits_", "audit_"))
    }


def test_a_key_in_the_header_that_is_none_is_401(scene):
    for header in (
        "Bearer",
        "Bearer ",
        "bearer cpk_x",
        "Bearer cpk_\xff",
        "Bearer " + "x" * 8000,
        "Basic eDp5",
        "cpk_x",
    ):
        answer = Http().send("GET", "/usage/holds", Authorization=header)
        assert answer.status_code == 401, (header, answer.content)
        assert error_of(answer)["code"] == "unauthorized"
        assert answer["WWW-Authenticate"]


def test_json_numbers_and_texts_of_equal_amounts_are_one(scene):
    client = scene.key("membership")
    for number, spelling in enumerate(("1", "1.0", "1.000000", 1)):
        answer = client.raw("POST", "/usage/charges", json.dumps(SPEND | {"credits": spelling}).encode())
        assert answer.status_code == (201 if number == 0 else 200), answer.content
