"""`Idempotency-Key`: a repeat gets the first answer and moves nothing."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orgs.access import idempotency
from orgs.models import IdempotentAnswer, Organization
from tests.factories import orgs as make
from tests.orgs.racing import race

pytestmark = pytest.mark.django_db
PATH = "/api/v1/orgs"


@pytest.fixture
def client(api):
    return api(user=make.user())


def create(client, name="Acme", key="k-1", **headers):
    return client.send("POST", PATH, {"name": name}, Idempotency_Key=key, **headers)


def test_answers_a_repeat_with_the_first_answer(client):
    first, second = create(client), create(client)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Organization.objects.filter(name="Acme").count() == 1


def test_moves_again_without_a_key(client):
    for _ in range(2):
        client.send("POST", PATH, {"name": "Acme"})
    assert Organization.objects.filter(name="Acme").count() == 2


def test_refuses_another_body_and_reads_past_spelling(client):
    create(client)
    refused = create(client, name="Other")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_conflict")
    spelled = client.post(
        PATH,
        b'{ "name" : "\\u0041cme" }',
        content_type="application/json",
        headers={"Idempotency-Key": "k-1"},
    )
    assert spelled["Idempotent-Replayed"] == "true"


def test_remembers_no_refusal(client):
    assert create(client, name=" ").status_code == 422
    assert not IdempotentAnswer.objects.exists()
    assert create(client, name="Acme").status_code == 201


def test_counts_by_caller_and_path(client, api):
    create(client)
    assert "Idempotent-Replayed" not in create(api(user=make.user()))
    assert "Idempotent-Replayed" not in client.send(
        "POST", "/api/v1/me/keys", {"name": "Acme", "scopes": ["org:read"]}, Idempotency_Key="k-1"
    )
    assert IdempotentAnswer.objects.count() == 3


def test_counts_the_keys_of_one_user_apart(api):
    user = make.user()
    first, second = make.personal_key(user), make.personal_key(user)
    create(api(key=first.text))
    assert "Idempotent-Replayed" not in create(api(key=second.text))


@pytest.mark.parametrize("key", ["k" * 129, "é", "a\tb", " a", "a "])
def test_refuses_a_key_that_is_none(client, key):
    answer = client.post(PATH, {"name": "x"}, content_type="application/json", HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("key", ["k" * 128, "a b", "~", "!"])
def test_takes_any_printable_key(client, key):
    assert create(client, key=key).status_code == 201


def test_forgets_after_a_day(client):
    create(client)
    old = timezone.now() - idempotency.REMEMBERED_FOR - timedelta(seconds=1)
    IdempotentAnswer.objects.update(created_at=old)
    assert "Idempotent-Replayed" not in create(client, name="Another")
    IdempotentAnswer.objects.update(created_at=old)
    assert idempotency.forget_old() == 1


def test_keeps_no_key_text(client):
    body = {"name": "mine", "scopes": ["org:read"]}
    first, second = (client.send("POST", "/api/v1/me/keys", body, Idempotency_Key="k-9") for _ in range(2))
    assert first.json()["key"].startswith("cpk_")
    assert second.json() == first.json() | {"key": None}
    assert first.json()["key"] not in str(IdempotentAnswer.objects.get().body)


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_a_twin_at_the_same_moment_waits_for_the_first_and_repeats_it(api):
    user = make.user()
    answers = race(*[lambda: create(api(user=user))] * 6)
    assert [answer.status_code for answer in answers] == [201] * 6
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1
    assert Organization.objects.filter(name="Acme").count() == 1


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_without_the_key_each_twin_makes_its_own(api):
    """Negative control: the six do run side by side."""
    user = make.user()
    race(*[lambda: api(user=user).send("POST", PATH, {"name": "Acme"})] * 6)
    assert Organization.objects.filter(name="Acme").count() == 6
