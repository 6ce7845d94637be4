"""The plans everybody starts with; their prices are Lago's."""

from decimal import Decimal
from typing import Any, ClassVar

from django.db import migrations

#         code, name, calls a day, calls a month, seats, markup in per cent, included credits; None is unlimited
PLANS = [
    ("none", "No plan", 100, 1_000, 5, Decimal(30), 0),
    ("founders_friend", "Founder's friend", 1_000, 10_000, 5, Decimal(0), 0),
    ("trial", "Trial", 100, 700, 5, Decimal(30), 500),
    ("starter", "Starter", 500, 10_000, 5, Decimal(30), 2_000),
    ("professional", "Professional", 5_000, 100_000, 25, Decimal(20), 6_000),
    ("enterprise", "Enterprise", None, None, None, Decimal(10), 15_000),
]


def add_plans(apps: Any, schema_editor: Any) -> None:
    """Add what is missing and leave what is there: staff may have changed a limit."""
    plan = apps.get_model("orgs", "Plan")
    for code, name, daily, monthly, seats, markup, included in PLANS:
        limits = {"daily_calls": daily, "monthly_calls": monthly, "seats": seats}
        facts = {"name": name, **limits, "markup_percent": markup, "included_credits": included}
        plan.objects.get_or_create(code=code, defaults=facts)


def remove_unused_plans(apps: Any, schema_editor: Any) -> None:
    plan, subscription = apps.get_model("orgs", "Plan"), apps.get_model("orgs", "Subscription")
    codes = [code for code, *_ in PLANS]
    plan.objects.filter(code__in=codes).exclude(pk__in=subscription.objects.values("plan")).delete()


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orgs", "0002_clock")]

    operations: ClassVar = [migrations.RunPython(add_plans, remove_unused_plans)]
