"""What browsers are told they may load."""

from typing import Any

import pytest
from csp.decorators import csp_update
from django.http import HttpResponse
from django.test import RequestFactory

from billing_portal.policy import PolicyMiddleware


def header_of(response: HttpResponse) -> str:
    answer: Any = PolicyMiddleware(lambda _: response)(RequestFactory().get("/"))
    return str(answer["Content-Security-Policy"])


@pytest.mark.parametrize("path", ["/healthz", "/accounts/login/"])
@pytest.mark.django_db
def test_every_answer_forbids_what_is_not_ours_and_anything_inline(client, path):
    policy = client.get(path)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_a_view_may_change_its_own_policy_and_the_next_has_ours_again():
    changed = csp_update({"form-action": ["https://login.example.com"]})(lambda _: HttpResponse())
    assert "form-action 'self' https://login.example.com" in header_of(changed(RequestFactory().get("/")))
    assert "login.example.com" not in header_of(HttpResponse())
