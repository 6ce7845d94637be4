"""Who is told what: once per crossing, and whom it concerns."""

import pytest
from django.db import transaction

from orgs.notices import audience, notices
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice, Preference
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db


def tell(*people, organization=None, **changes):
    terms = {
        "kind": Kind.POOL_LOW,
        "subject": "pool",
        "crossing": "1",
        "title": "The pool is low",
        "lines": ["5 credits are left."],
        "action": "Buy credits",
        "path": "/orgs/acme/buy/",
    }
    with transaction.atomic():
        return notices.once(to=people, organization=organization, **{**terms, **changes})


def test_everybody_is_told_once_per_crossing_and_again_at_the_next():
    one, two = make.user(), make.user()
    assert tell(one) == 1
    assert tell(one, two, two) == 1
    assert tell(one, two) == 0
    assert tell(one, two, crossing="2") == 2
    assert tell(one, subject="another") == tell(one, kind=Kind.RUNWAY) == 1


def test_services_and_people_who_may_not_sign_in_are_not_told():
    service = make.user("Bot", is_service=True)
    assert tell(service, make.user("Gone", is_active=False)) == 0
    assert not Notice.objects.exists()


def test_a_kind_that_was_switched_off_is_in_the_inbox_and_goes_out_by_no_mail():
    quiet, loud = make.user(), make.user()
    Preference.objects.create(user=quiet, kind=Kind.POOL_LOW)
    tell(quiet, loud)
    tell(quiet, kind=Kind.RUNWAY)
    assert [one.mail for one in quiet.notices.order_by("kind")] == ["off", "pending"]
    assert [one.mail for one in loud.notices.all()] == ["pending"]


def test_long_names_are_cut_and_addresses_elsewhere_refused():
    person = make.user()
    tell(person, title="x" * 300, lines=["y" * 2000])
    told = person.notices.get()
    assert (len(told.title), len(told.lines[0])) == (200, 1000)
    tell(person, crossing="model", path="/orgs/acme/usage/?model=" + "x" * 300)
    assert person.notices.get(crossing="model").path == "/orgs/acme/usage/"
    for path in ("https://example.com/", "//example.com/", "orgs/"):
        with pytest.raises(ValueError, match="within the portal"):
            tell(person, crossing="2", path=path)


def test_a_notice_is_written_with_its_cause_or_not_at_all():
    person = make.user()
    with transaction.atomic():
        tell(person)
        transaction.set_rollback(True)
    assert not person.notices.exists()


def test_the_audience_is_who_may_do_something_about_it():
    team = make.team()
    owner = team.memberships.get().user
    admin, buyer = (make.member(team, role).user for role in ("admin", "billing_admin"))
    manager, member = make.member(team), make.member(team)
    research = make.department(team, "Research", manager=manager)
    elsewhere = make.department(team, "Elsewhere")
    stranger = make.team("Other").memberships.get().user
    system_admin = make.system_admin()
    above = {owner, admin, buyer}
    assert set(audience.admins(team)) == set(audience.allocators(team, None)) == above
    assert set(audience.allocators(team, research)) == {*above, manager.user}
    assert set(audience.allocators(team, elsewhere)) == above
    assert audience.managers(research) == [manager.user]
    assert audience.system_admins() == [system_admin]
    assert audience.member(team, member.user.public_id) == [member.user]
    assert audience.member(team, stranger.public_id) == []
    assert not {member.user, stranger} & set(audience.allocators(team, research))
    type(manager).objects.filter(pk=manager.pk).update(ended_at="2026-01-01T00:00Z")
    assert set(audience.allocators(team, research)) == above
