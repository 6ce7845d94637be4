"""What `/system/` says of the audit log: not verified yet, whole, or broken."""

import pytest
from django.db import connection
from django.test import Client

from orgs import tasks
from orgs.audit import proofs
from orgs.audit.models import AuditEvent
from tests.billing_portal.dashboards.story import Team, person

pytestmark = pytest.mark.django_db


def test_the_page_says_when_the_log_was_verified_and_alarms_when_it_is_broken():
    team = Team.made("Acme")
    client = Client()
    client.force_login(person("Sys Admin", is_staff=True))

    def page() -> str:
        return client.get("/system/").content.decode()

    assert "Verified each day, not yet today" in page()
    tasks.verify_audit()
    assert "Whole" in page()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER ALL")
        cursor.execute(
            "UPDATE audit_auditevent SET actor = 'x' WHERE organization = %s", [team.organization.public_id]
        )
        cursor.execute("ALTER TABLE audit_auditevent ENABLE ALWAYS TRIGGER append_only")
        cursor.execute("ALTER TABLE audit_auditevent ENABLE ALWAYS TRIGGER append_only_truncate")
    assert AuditEvent.objects.filter(actor="x").exists()
    proofs.verify_all()
    broken = page()
    assert "The audit log is broken." in broken
    assert f"{team.organization.public_id}: event 1 was changed" in broken
