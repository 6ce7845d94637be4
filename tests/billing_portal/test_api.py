"""The mount of the API: what is served where, and that every other address below /api/ answers in the one JSON shape."""

import json

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
NOWHERE = (
    "/api/",
    "/api/v1/",
    "/api/v1",
    "/api/v2/me",
    "/api/v1/me/",
    "/api/v1/usage/holds/",
    "/api/v1/usage/holds/1",
    "/api/schema",
    "/api/x.php",
    "/api/v1/a%0ab",
)


@pytest.mark.parametrize("path", NOWHERE)
def test_an_unknown_address_is_404_in_json_for_everybody(path):
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = Client(enforce_csrf_checks=True).generic(
            method, path, b"{}", content_type="application/json"
        )
        assert answer.status_code == 404, method
        assert answer["Content-Type"].startswith("application/json")
        if method != "HEAD":
            error = json.loads(answer.content)["error"]
            assert error["code"] == "not_found"
            assert set(error) == {"code", "message", "details"}


@pytest.mark.parametrize(
    "path",
    ["/api/schema/", "/api/docs/", "/api/v1/me", "/api/v1/models", "/api/v1/orgs", "/api/v1/usage/holds"],
)
def test_what_is_mounted_answers(path):
    assert Client().get(path).status_code in (200, 401)
