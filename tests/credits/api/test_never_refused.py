"""A capture or release is never refused for what changed since its hold was placed: the provider has been paid."""

import pytest
from django.utils import timezone

from credits.models import Hold, Price
from credits.pricing import table
from orgs.access import keys
from orgs.models import AccessKey, Membership, Organization, Subscription, User
from tests.factories import credits as make
from tests.factories.api import MODEL, done, refused

pytestmark = pytest.mark.django_db


def revoked_key(scene):
    AccessKey.objects.update(revoked_at=timezone.now())
    keys.forget_cached()


def ended_key(scene):
    AccessKey.objects.update(expires_at=timezone.now(), created_at="2020-01-01T00:00:00Z")
    keys.forget_cached()


def removed_member(scene):
    Membership.objects.filter(user=scene.people["member"]).update(ended_at=timezone.now())
    keys.forget_cached()


def user_switched_off(scene):
    User.objects.filter(pk=scene.people["member"].pk).update(is_active=False)
    keys.forget_cached()


def suspended(scene):
    Organization.objects.filter(pk=scene.org.pk).update(status="suspended")


def archived(scene):
    Organization.objects.filter(pk=scene.org.pk).update(status="archived")
    keys.forget_cached()


def paused(scene):
    Subscription.objects.filter(organization=scene.org).update(status="paused")


def overdue(scene):
    Subscription.objects.filter(organization=scene.org).update(
        status="past_due", past_due_since="2026-01-01T00:00:00Z"
    )


def no_quota_left(scene):
    make.limit_calls(scene.org, day=0, month=0)


def a_debt_above_the_limit(scene):
    make.captured(make.held(scene.org, scene.people["colleague"], 1), 5000)


def revoked_allocation(scene):
    make.revoke(scene.org, scene.people["member"])


def no_price_any_more(scene):
    Price.objects.filter(name=MODEL).update(valid_until=timezone.now())
    table.forget()


CHANGES = [
    revoked_key, ended_key, removed_member, user_switched_off, suspended, archived, paused, overdue, no_quota_left, a_debt_above_the_limit,
    revoked_allocation, no_price_any_more,
]  # fmt: skip


def hold_of(client, **cost):
    body = {"transaction_id": "t", "service": "llm", **(cost or {"credits": "10"})}
    return done(client.post("/usage/holds", body), 201)["hold"]["id"]


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one.__name__)
def test_a_capture_goes_through_after(scene, change):
    client = scene.key("membership")
    hold = hold_of(client, model=MODEL, input_tokens=500, max_output_tokens=100)
    change(scene)
    answer = client.post(f"/usage/holds/{hold}/capture", {"input_tokens": 500, "output_tokens": 100})
    charge = done(answer)["charge"]
    markup = {no_quota_left: "7"}  # its plan has none
    assert charge["cost"] == markup.get(change, "7.7")
    assert charge["unpriced"] is (change is no_price_any_more)
    assert Hold.objects.get(pk=hold).status == "captured"


@pytest.mark.parametrize("change", CHANGES[:-1], ids=lambda one: one.__name__)
def test_a_release_goes_through_after(scene, change):
    client = scene.key("membership")
    hold = hold_of(client)
    change(scene)
    assert done(client.post(f"/usage/holds/{hold}/release"))["hold"]["status"] == "released"


@pytest.mark.parametrize(
    "change", [one for one in CHANGES if one not in (revoked_allocation, no_price_any_more)], ids=lambda one: one.__name__
)  # fmt: skip
def test_a_new_hold_is_refused_after(scene, change):
    """Negative control: each of these changes does stop what is new."""
    client = scene.key("membership")
    change(scene)
    answer = client.post("/usage/holds", {"transaction_id": "t", "credits": "1"})
    assert answer.status_code in (401, 402, 403, 404, 429), answer.content


def test_only_a_release_another_content_or_bad_figures_refuse_a_capture(scene):
    client = scene.key("membership")
    hold = hold_of(client)
    for wrong in ({}, {"credits": "-1"}, {"credits": 1.5}, {"credits": "1", "unit": "page", "units": "1"}):
        assert client.post(f"/usage/holds/{hold}/capture", wrong).status_code == 422
    done(client.post(f"/usage/holds/{hold}/capture", {"credits": "3"}))
    details = refused(
        client.post(f"/usage/holds/{hold}/capture", {"credits": "4"}), 409, "idempotency_conflict"
    )
    assert not details
    released = done(client.post("/usage/holds", {"transaction_id": "r", "credits": "1"}), 201)["hold"]["id"]
    done(client.post(f"/usage/holds/{released}/release"))
    refused(client.post(f"/usage/holds/{released}/capture", {"credits": "1"}), 409, "hold_ended")
