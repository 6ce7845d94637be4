"""`provision_organizations`: a list judged whole, then made line by line, once, whatever comes between."""

import json
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from credits.models import CreditPool, ProposedGrant
from lago_sync.models import Provision
from orgs import subscriptions
from orgs.audit.models import AuditEvent
from orgs.models import Membership, Organization, User
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db

LIST = (
    "name,owner_email,billing_email,plan,credits,org_id,time_zone,currency\n"
    "Alpha,Ann@example.com,pay@alpha.example,starter,500,org_alpha,Europe/Berlin,USD\n"
    "Beta,ben@example.com,,,20000,,,\n"
    "Gamma,ann@example.com,,founders_friend,,,,\n"
)


def run(path, *arguments, code=0):
    said = StringIO()
    try:
        call_command("provision_organizations", str(path), *map(str, arguments), stdout=said)
        ended = 0
    except SystemExit as end:
        ended = end.code
    assert ended == code, said.getvalue()
    return said.getvalue()


@pytest.fixture
def listed(legacy, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return path


def test_a_list_makes_each_organization_once_with_all_it_says(listed, legacy, tmp_path):
    before = Organization.objects.count()
    said = run(listed)
    assert "Ann@example.com (new)" in said
    assert Organization.objects.count() == before
    assert not Provision.objects.exists()

    report = tmp_path / "report.json"
    said = run(listed, "--execute", "--report", report)
    legacy.lago.drain()
    assert "approval" in said
    assert [one["status"] for one in json.loads(report.read_text())] == ["made"] * 3
    alpha = Organization.objects.get(public_id="org_alpha")
    assert (alpha.name, alpha.time_zone, alpha.billing_email) == (
        "Alpha",
        "Europe/Berlin",
        "pay@alpha.example",
    )
    assert subscriptions.live(organization=alpha).plan.code == "starter"
    assert [one["plan_code"] for one in legacy.live("org_alpha")] == ["starter"]
    assert CreditPool.objects.get(organization=alpha).available == Decimal(500)
    owned = Membership.objects.filter(role="owner", user__email="ann@example.com")
    assert sorted(owned.values_list("organization__name", flat=True)) == ["Alpha", "Gamma"]
    assert not User.objects.get(email="ann@example.com").has_usable_password()
    beta = Organization.objects.get(name="Beta")
    assert (beta.billing_email, beta.currency) == ("ben@example.com", "USD")
    assert ProposedGrant.objects.get(organization=beta).credits == 20_000  # above what staff grant alone
    assert legacy.lago.api("GET", f"customers/{beta.public_id}").status_code == 404
    assert AuditEvent.objects.filter(action="organization.provisioned").count() == 3

    posted = legacy.lago.requested("POST", "/api/v1/subscriptions")
    assert run(listed, "--execute").count("was made before") == 3
    assert Organization.objects.count() == before + 3
    assert legacy.lago.requested("POST", "/api/v1/subscriptions") == posted == 2


def test_one_wrong_line_and_nothing_is_made(listed, legacy, tmp_path):
    taken = make.team("Taken")
    run(listed, "--execute")
    before = Organization.objects.count()
    head = LIST.partition("\n")[0]
    lines = {
        ",x@example.com,,,,,,": "name",
        "Delta,nobody,,,,,,": "owner_email",
        "Delta,x@example.com,no,,,,,": "billing_email",
        "Delta,x@example.com,,platinum,,,,": "no plan platinum",
        "Delta,x@example.com,,none,,,,": "no plan none",
        "Delta,x@example.com,,starter,,,,EUR": "no price in EUR",
        "Delta,x@example.com,,,-1,,,": "decimal of 0 or more",
        "Delta,x@example.com,,,0,,,": "more than 0",
        "Delta,x@example.com,,,,acme,,": "org_id",
        f"Delta,x@example.com,,,,{taken.public_id},,": "which no list made",
        "Delta,x@example.com,,,,,Berlin,": "IANA",
        "Delta,x@example.com,,,,,,usd": "no currency",
        "Alpha,ann@example.com,,starter,501,org_alpha,Europe/Berlin,USD": "other values for it: billing_email, credits, owner_email",
    }  # fmt: skip
    for line, why in lines.items():
        (tmp_path / "wrong.csv").write_text(f"{head}\nGood,good@example.com,,,,,,\n{line}\n")
        said = run(tmp_path / "wrong.csv", "--execute", code=1)
        assert (why in said, "nothing was made" in said) == (True, True), (line, said)
    (tmp_path / "wrong.csv").write_text(f"{head}\n" + "Twice,x@example.com,,,,,,\n" * 2)
    assert "twice" in run(tmp_path / "wrong.csv", "--execute", code=1)
    for text in ("name,owner_email,colour\n", "name\n", f"{head}\nA,b@example.com,,,,,,,more\n"):
        (tmp_path / "wrong.csv").write_text(text)
        with pytest.raises(CommandError, match="Nothing was made"):
            run(tmp_path / "wrong.csv", "--execute")
    assert Organization.objects.count() == before


def test_a_lago_that_goes_away_stops_only_its_lines_and_the_next_run_carries_on(listed, legacy):
    legacy.lago.faults({"method": "POST", "path": "^/api/v1/subscriptions$", "times": 6, "status": 500, "after_commit": True})  # fmt: skip
    said = run(listed, "--execute", code=1)
    assert said.count("failed") == 2  # those with a plan
    legacy.lago.faults()
    run(listed, "--execute")
    assert [one["plan_code"] for one in legacy.live("org_alpha")] == ["starter"]
    assert Organization.objects.filter(name__in=["Alpha", "Beta", "Gamma"]).count() == 3
    alpha = Organization.objects.get(public_id="org_alpha")
    assert CreditPool.objects.get(organization=alpha).available == Decimal(500)
