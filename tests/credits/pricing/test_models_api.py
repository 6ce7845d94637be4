"""`GET /models`: everybody's prices for everybody, an organization's own for its callers alone."""

import pytest

from tests.factories import api
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene():
    scene = api.scene()
    make.price("house", output_price="0.01", organization=scene.org)
    make.price("house", output_price="0.02")
    return scene


def house(client, query="", **headers):
    answer = client.ask(f"/models?limit=100{query}", **headers)
    assert answer.status_code == 200, answer.content
    return [(one["own"], one["output_price"]) for one in answer.json()["data"] if one["name"] == "house"]


BOTH = [(True, "0.01"), (False, "0.02")]


@pytest.mark.parametrize("kind", ["membership", "organization"])
def test_a_key_of_the_organization_sees_its_own_prices(scene, kind):
    assert house(scene.key(kind, "credits:read")) == BOTH


@pytest.mark.parametrize("kind", ["personal", "platform"])
def test_a_key_that_is_not_bound_names_the_organization(scene, kind):
    client = scene.key(kind, "credits:read")
    assert house(client) == [(False, "0.02")]
    assert house(client, f"&org_id={scene.org.public_id}") == BOTH
    assert house(client, X_Organization=scene.org.public_id) == BOTH


def test_an_outsider_sees_everybodys_and_learns_of_no_other(scene):
    outsider = scene.http("outsider")
    assert house(outsider) == [(False, "0.02")]
    assert outsider.ask(f"/models?org_id={scene.org.public_id}").status_code == 404
