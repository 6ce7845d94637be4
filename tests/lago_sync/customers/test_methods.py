"""Stored cards: kept at the payment provider, mirrored with "as of"; the default one is Lago's to say."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from kit.errors import Conflict, NotFound
from lago_sync import tasks
from lago_sync.customers import linking, methods
from lago_sync.errors import LagoUnavailable, LagoUnreachable
from lago_sync.models import LagoCustomer, PaymentMethod
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from tests.factories import orgs as make
from tests.lago_sync.purchases.story import store_card

pytestmark = pytest.mark.django_db
OWNER = Actor(kind="user", public_id="usr_owner")


@pytest.fixture
def team(lago, settings):
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    return make.team("Acme")


def store(team):
    """Store a card on the sandbox's own page, as a person does."""
    page = methods.page_to_store(organization=team, now=timezone.now())
    store_card(page)
    methods.refresh(organization=team, now=timezone.now())


def kept(team):
    return [(row.kind, row.is_default) for row in methods.of_organization(organization=team)]


def test_one_is_stored_shown_made_the_default_and_removed(team):
    assert not methods.has_default(organization=team)
    store(team)
    store(team)
    assert [is_default for _, is_default in kept(team)] == [True, False]
    default, other = methods.of_organization(organization=team)
    methods.make_default(organization=team, method_id=other.pk, by=OWNER, now=timezone.now())
    assert methods.of_organization(organization=team).first() == other
    methods.remove(organization=team, method_id=other.pk, by=OWNER, now=timezone.now())
    assert [(row.pk, row.is_default) for row in methods.of_organization(organization=team)] == [
        (default.pk, True)
    ]
    assert PaymentMethod.objects.get(pk=other.pk).removed_at is not None
    acts = AuditEvent.objects.filter(organization=team.public_id, action__startswith="payment_method.")
    assert list(acts.order_by("sequence").values_list("action", "target")) == [
        ("payment_method.made_default", str(other.pk)),
        ("payment_method.removed", str(other.pk)),
    ]
    with pytest.raises(NotFound):
        methods.remove(organization=team, method_id=other.pk, by=OWNER, now=timezone.now())


def test_one_that_is_gone_at_lago_is_gone_here_and_an_older_look_brings_nothing_back(team, lago):
    store(team)
    earlier = timezone.now() - timedelta(minutes=1)
    [row] = methods.of_organization(organization=team)
    lago.api("DELETE", f"customers/{team.public_id}/payment_methods/{row.pk}")
    LagoCustomer.objects.update(methods_synced_at=None)
    assert tasks.refresh_payment_methods() == 1
    assert kept(team) == []
    assert methods.as_of(organization=team) is not None
    PaymentMethod.objects.update(removed_at=None)
    methods.refresh(organization=team, now=earlier)
    assert len(kept(team)) == 1  # the earlier look wrote nothing
    assert tasks.refresh_payment_methods() == 0  # everybody was looked at within the hour


def test_one_that_lago_once_did_not_show_is_charged_again_when_it_comes_back(team, lago):
    store(team)
    lago.faults({"method": "GET", "path": "payment_methods", "times": 1, "status": 404, "body": "{}"})
    methods.refresh(organization=team, now=timezone.now())
    assert not methods.has_default(organization=team)
    methods.refresh(organization=team, now=timezone.now())
    assert methods.has_default(organization=team)
    assert kept(team) == [("card", True)]


def test_while_lago_is_away_what_was_seen_stays_and_nothing_is_noted(team, lago, settings):
    store(team)
    [row] = methods.of_organization(organization=team)
    settings.LAGO_API_URL = "http://127.0.0.1:9"
    for act in (methods.make_default, methods.remove):
        with pytest.raises(LagoUnreachable):
            act(organization=team, method_id=row.pk, by=OWNER, now=timezone.now())
    with pytest.raises(LagoUnreachable):
        methods.page_to_store(organization=team, now=timezone.now())
    assert len(kept(team)) == 1
    assert not AuditEvent.objects.filter(action__startswith="payment_method.").exists()
    settings.LAGO_API_URL = lago.url


@pytest.mark.parametrize("body", ['{"payment_methods":[{}],"meta":{"next_page":null}}', '{"payment_methods":[{"lago_id":"x","is_default":true}],"meta":{}}'])  # fmt: skip
def test_an_answer_of_another_shape_changes_nothing(team, lago, body):
    store(team)
    lago.faults({"method": "GET", "path": "payment_methods", "times": 1, "status": 200, "body": body})
    with pytest.raises(LagoUnavailable):
        methods.refresh(organization=team, now=timezone.now())
    assert len(kept(team)) == 1


def test_two_cards_are_told_apart_and_one_without_details_says_who_keeps_it(team, lago):
    store(team)
    store(team)
    first, second = methods.of_organization(organization=team)
    assert methods.name_of(first) != methods.name_of(second)
    assert re.fullmatch(r"(Visa|Mastercard|Amex) •••• [0-9]{4}", methods.name_of(first))
    assert re.fullmatch(r"20[0-9]{2}-[01][0-9]", first.expires)
    bare = PaymentMethod(kind="stripe")
    assert methods.name_of(bare) == "Card at Stripe"
    assert methods.name_of(PaymentMethod(kind="sepa_debit", last4="1234")) == "Sepa_debit •••• 1234"


def test_card_details_are_shown_where_lago_sends_them(team, lago):
    linking.ensure_customer(organization=team, now=timezone.now())
    body = (
        '{"payment_methods":[{"lago_id":"4cf085a7-c196-4f07-a543-97c50ec6e8b2","is_default":true,"payment_provider_type":'
        '"stripe","details":{"type":"card","brand":"visa","last4":"4242","expiration_year":2028,"expiration_month":4}}],'
        '"meta":{"next_page":null}}'
    )
    lago.faults({"method": "GET", "path": "payment_methods", "times": 1, "status": 200, "body": body})
    methods.refresh(organization=team, now=timezone.now())
    [row] = methods.of_organization(organization=team)
    assert (row.kind, row.brand, row.last4, row.expires, str(row)) == (
        "card",
        "visa",
        "4242",
        "2028-04",
        "visa 4242",
    )


def test_without_a_provider_nothing_is_stored_and_nobody_is_asked(team, lago, settings):
    settings.LAGO_PAYMENT_PROVIDER = ""
    with pytest.raises(Conflict, match="no payment provider"):
        methods.page_to_store(organization=team, now=timezone.now())
    linking.ensure_customer(organization=team, now=timezone.now())
    PaymentMethod.objects.create(
        lago_id=uuid4(), organization=team, is_default=True, synced_at=timezone.now()
    )
    assert not methods.has_default(organization=team)
    before = lago.dump()["requests"]
    assert tasks.refresh_payment_methods() == 0
    assert lago.dump()["requests"] == before
