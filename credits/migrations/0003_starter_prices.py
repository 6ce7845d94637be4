"""Prices a new portal starts with; running it again adds only what is missing."""

from datetime import UTC, datetime
from decimal import Decimal

from django.db import migrations

from credits.pricing import starter_prices

SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def add_prices(apps, schema_editor):
    Price = apps.get_model("credits", "Price")
    rows = [
        Price(
            kind="tokens",
            name=name,
            provider=provider,
            input_price=Decimal(input_price) / starter_prices.MILLION,
            output_price=Decimal(output_price) / starter_prices.MILLION,
            cached_input_price=Decimal(cached) / starter_prices.MILLION,
            valid_from=SINCE,
        )
        for name, (provider, input_price, output_price, cached) in starter_prices.PER_MILLION_TOKENS.items()
    ]
    rows += [
        Price(
            kind="images",
            name=name,
            size=size,
            quality=quality,
            provider=provider,
            each_price=Decimal(each),
            valid_from=SINCE,
        )
        for (name, size, quality), (provider, each) in starter_prices.PER_IMAGE.items()
    ]
    rows += [
        Price(kind="units", name=unit, each_price=Decimal(each), valid_from=SINCE)
        for unit, each in starter_prices.PER_UNIT.items()
    ]
    Price.objects.bulk_create(rows, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("credits", "0002_books")]

    operations = [migrations.RunPython(add_prices, migrations.RunPython.noop)]
