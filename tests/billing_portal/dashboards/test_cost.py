"""What a page costs does not grow with how many members there are or how much they used."""

from collections.abc import Callable

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orgs.models import User
from tests.billing_portal.dashboards.story import Team, person

SignIn = Callable[[User], Client]


def queries_of(client: Client, path: str) -> int:
    client.get(path)  # what is read once per process
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def grown(acme: Team) -> None:
    acme.on_plan("enterprise")
    for number in range(8):
        member = acme.joined_by(person(f"Member {number}"), department=f"Department {number % 3}")
        acme.allocated(member, "100")
        for day in range(3):
            acme.spent(member, "1.5", model=f"model-{day}", days=day)


def test_an_overview_asks_the_same_however_large_the_organization(acme: Team, signed_in: SignIn):
    client = signed_in(acme.owner)
    acme.on_plan("enterprise")
    small = queries_of(client, "/orgs/acme/")
    grown(acme)
    assert queries_of(client, "/orgs/acme/?days=90") == small
    assert small <= 30


def test_my_page_asks_the_same_for_every_organization(acme: Team, signed_in: SignIn):
    mia = acme.people["mia"]
    client = signed_in(mia)
    counts = []
    for name in ("First", "Second", "Third"):
        team = Team.made(name).granted("10")
        team.joined_by(mia)
        team.spent(mia, "1")
        counts.append(queries_of(client, "/billing/"))
    assert counts[2] - counts[1] == counts[1] - counts[0] <= 6
