import time
import pytest
from io import StringIO
from django.core.management import call_command
from tests.lago_sync.migration.story import DAY

pytestmark = pytest.mark.django_db(transaction=True)


def test_scale(legacy, tmp_path):
    lines = ["user,org_id"]
    for n in range(200):
        u = legacy.customer(f"u{n}")
        legacy.ask(
            "POST",
            "subscriptions",
            json={
                "subscription": {
                    "external_customer_id": u,
                    "external_id": f"{u}_s",
                    "plan_code": "starter",
                    "billing_time": "anniversary",
                }
            },
        )
        legacy.ask(
            "POST",
            "wallets",
            json={
                "wallet": {
                    "external_customer_id": u,
                    "rate_amount": "0.01",
                    "currency": "USD",
                    "granted_credits": "1000",
                }
            },
        )
        lines.append(f"{u},org_{n}")
        if n % 50 == 49:
            legacy.lago.drain()
    legacy.lago.advance(3 * DAY)
    f = tmp_path / "m.csv"
    f.write_text("\n".join(lines))
    for args in ((), ("--execute",), ("--verify",), ("--execute",)):
        begun = time.monotonic()
        said = StringIO()
        call_command(
            "migrate_users_to_orgs",
            "--mapping-file",
            str(f),
            *args,
            "--report",
            str(tmp_path / "r.json"),
            stdout=said,
        )
        print(args, round(time.monotonic() - begun, 1), "s")
        print("\n".join(said.getvalue().splitlines()[:4] + said.getvalue().splitlines()[-3:]))
