"""What is around every page: theme, environment, policy, and nothing inline."""

import re
from collections.abc import Callable

import pytest
from django.template.loader import render_to_string
from django.test import Client, override_settings

from orgs.models import User
from tests.billing_portal.dashboards.story import Team

SignIn = Callable[[User], Client]

INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|\sstyle=|\son[a-z]+=|<style", re.IGNORECASE
)
PAGES_OF_STRANGERS = ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nowhere/"]
PAGES_OF_PEOPLE = [
    "/billing/",
    "/orgs/acme/",
    "/orgs/acme/allocations/",
    "/orgs/acme/allocations/allocate/",
    "/orgs/acme/credits/buy/",
    "/orgs/acme/credits/buy/confirm/?package=credits-5000",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/sessions/",
    "/accounts/logout/",
    "/api/docs/",
]


@pytest.fixture
def owner(acme: Team, signed_in: SignIn) -> Client:
    return signed_in(acme.owner)


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES_OF_STRANGERS)
def test_no_page_before_sign_in_has_anything_inline(client: Client, path: str):
    assert not INLINE.search(client.get(path).content.decode())


@pytest.mark.parametrize("path", PAGES_OF_PEOPLE)
def test_no_page_has_anything_inline(owner: Client, path: str):
    page = owner.get(path)
    assert page.status_code == 200
    assert not INLINE.search(page.content.decode())


@pytest.mark.parametrize("path", PAGES_OF_PEOPLE)
def test_pages_send_a_policy_that_allows_nothing_inline_and_no_other_host(owner: Client, path: str):
    policy = owner.get(path).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", [*PAGES_OF_PEOPLE, *PAGES_OF_STRANGERS])
def test_every_page_says_which_environment_it_is(owner: Client, path: str):
    client = owner if path in PAGES_OF_PEOPLE else Client()
    with override_settings(ENVIRONMENT="staging-7"):
        assert "staging-7" in client.get(path).content.decode()
    with override_settings(ENVIRONMENT="production"):
        assert "production" not in client.get(path).content.decode()


def test_the_system_page_has_nothing_inline_either(acme: Team, signed_in: SignIn):
    acme.owner.is_staff = True
    acme.owner.save()
    page = signed_in(acme.owner).get("/system/")
    assert page.status_code == 200
    assert not INLINE.search(page.content.decode())


def test_the_admin_says_it_too(acme: Team, signed_in: SignIn):
    acme.owner.is_staff = acme.owner.is_superuser = True
    acme.owner.save()
    with override_settings(ENVIRONMENT="staging-7"):
        assert "staging-7" in signed_in(acme.owner).get("/admin/").content.decode()


def test_the_menu_has_the_admin_for_staff_only(acme: Team, owner: Client, signed_in: SignIn):
    assert "Django admin" not in owner.get("/billing/").content.decode()
    acme.owner.is_staff = True
    acme.owner.save()
    assert "Django admin" in signed_in(acme.owner).get("/billing/").content.decode()


@pytest.mark.parametrize("template", ["400", "403", "403_csrf", "404", "500"])
def test_errors_render_without_a_request(template: str):
    page = render_to_string(f"{template}.html")
    assert f'<p class="code num">{template[:3]}</p>' in page


class TestTheme:
    def test_is_the_systems_until_one_is_chosen(self, owner: Client):
        assert "data-theme=" not in owner.get("/billing/").content.decode()

    def test_is_kept_in_a_cookie_that_the_server_reads(self, owner: Client):
        answer = owner.post("/theme/", {"theme": "dark", "next": "/orgs/acme/?days=7"})
        assert answer.headers["Location"] == "/orgs/acme/?days=7"
        assert '<html lang="en" data-theme="dark">' in owner.get("/billing/").content.decode()

    def test_goes_back_to_the_systems(self, owner: Client):
        owner.post("/theme/", {"theme": "dark"})
        owner.post("/theme/", {"theme": "system"})
        assert "data-theme=" not in owner.get("/billing/").content.decode()

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "target", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"]
    )
    def test_sends_nobody_elsewhere(self, client: Client, target: str):
        assert client.post("/theme/", {"theme": "dark", "next": target}).headers["Location"] == "/"

    def test_a_forged_cookie_does_not_reach_the_page(self, owner: Client):
        owner.cookies["theme"] = '"><script>'
        assert "<script>" not in owner.get("/billing/").content.decode()
