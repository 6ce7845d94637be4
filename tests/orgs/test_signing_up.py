"""Signing up asks for a name and gives nothing away; keys for gateways come from the command line."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from kit.errors import Conflict, ValidationError
from orgs import tasks, users
from orgs.access import keys
from orgs.access.signup import SignupForm
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import AccessKey, User
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db


class TestSignupForm:
    def test_keeps_the_name(self, rf):
        form = SignupForm({"name": "  Ada Lovelace "})
        assert form.is_valid()
        user = make.user()
        form.signup(rf.get("/"), user)
        assert User.objects.get(pk=user.pk).name == "Ada Lovelace"

    def test_is_what_the_sign_up_page_asks(self, client):
        body = {
            "name": "Ada Lovelace",
            "email": "Ada@Example.com",
            "password1": "a long pass-phrase",
            "password2": "a long pass-phrase",
        }
        assert client.post("/accounts/signup/", body).status_code == 302
        made = User.objects.get(email="ada@example.com")
        assert (made.name, made.is_staff) == ("Ada Lovelace", False)

    @pytest.mark.parametrize("name", ["", " ", "a\x07b"])
    def test_refuses_a_name_that_is_none(self, name):
        assert "name" in SignupForm({"name": name}).errors


class TestUsers:
    def test_have_their_address_in_small_letters_however_it_was_typed(self):
        assert make.user(email="Ada@Example.COM").email == "ada@example.com"
        assert User.objects.get_by_natural_key("ADA@example.com").email == "ada@example.com"

    @pytest.mark.parametrize("field", ["is_superuser", "email", "password", "public_id"])
    def test_change_nothing_but_what_may_be(self, field, db):
        from django.db import transaction

        with transaction.atomic(), pytest.raises(ValidationError):
            users.update(user=make.user(), changes={field: "x"}, by=SYSTEM)

    def test_keep_one_system_admin(self):
        from django.db import transaction

        admin = make.system_admin()
        with transaction.atomic(), pytest.raises(Conflict):
            users.update(user=admin, changes={"is_active": False}, by=SYSTEM)
        make.system_admin()
        with transaction.atomic():
            users.update(user=admin, changes={"is_active": False}, by=SYSTEM)


class TestCreateServiceKey:
    def test_prints_a_platform_key_once(self):
        out = StringIO()
        call_command("create_service_key", "gateway", "--scopes", "usage:write", "credits:read", stdout=out)
        text = out.getvalue().strip()
        key = keys.find(text)
        assert key is not None
        assert (key.kind, key.name, key.scopes) == ("platform", "gateway", ["credits:read", "usage:write"])
        event = AuditEvent.objects.latest("pk")
        assert (event.organization, event.action, event.actor_kind) == ("platform", "key.issued", "operator")

    def test_says_what_is_wrong(self):
        with pytest.raises(CommandError, match="usage:write"):
            call_command("create_service_key", "gateway", "--scopes", "everything")
        assert not AccessKey.objects.exists()


def test_the_job_that_forgets_answers_runs():
    assert tasks.forget_old_answers() == 0
