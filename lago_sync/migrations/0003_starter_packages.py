"""The packages of product.md §8, in US dollars; system admins edit them and add other currencies."""

from decimal import Decimal

from django.db import migrations

PACKAGES = ((1_000, 1_000), (5_000, 4_500), (10_000, 8_000), (50_000, 35_000))
"""Credits, and cents."""


def add_packages(apps, _schema_editor):
    packages = apps.get_model("lago_sync", "Package").objects
    for credits, cents in PACKAGES:
        packages.get_or_create(
            code=f"credits-{credits}",
            defaults={
                "name": f"{credits:,} credits",
                "credits": Decimal(credits),
                "amount_cents": cents,
                "currency": "USD",
            },
        )


class Migration(migrations.Migration):
    dependencies = [("lago_sync", "0002_buying")]

    operations = [migrations.RunPython(add_packages, migrations.RunPython.noop)]
