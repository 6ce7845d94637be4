"""Fees say what part of a price they are, and organizations what becomes of requests without a price."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0004_same_organization"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="planfee",
            name="plan_fee_once_per_period",
        ),
        migrations.RemoveConstraint(
            model_name="planfee",
            name="plan_fee_not_negative",
        ),
        migrations.AddField(
            model_name="organization",
            name="unpriced",
            field=models.CharField(
                choices=[("refuse", "Refuse"), ("flat", "Flat")], default="refuse", max_length=8
            ),
        ),
        migrations.AddField(
            model_name="organization",
            name="unpriced_credits",
            field=models.DecimalField(
                decimal_places=6,
                default=Decimal(0),
                help_text="of a request without a price, if flat",
                max_digits=24,
            ),
        ),
        migrations.AddField(
            model_name="planfee",
            name="credited_cents",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="planfee",
            name="full_amount_cents",
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="planfee",
            name="plan",
            field=models.ForeignKey(
                default=1, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.plan"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="planfee",
            name="replaced_full_cents",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="planfee",
            name="replaced_plan",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.plan",
            ),
        ),
        migrations.AddConstraint(
            model_name="organization",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("unpriced", "refuse"),
                        ("unpriced_credits__gte", 0),
                        ("unpriced_credits__lte", 1000000000),
                    ),
                    models.Q(
                        ("unpriced", "flat"),
                        ("unpriced_credits__gt", 0),
                        ("unpriced_credits__lte", 1000000000),
                    ),
                    _connector="OR",
                ),
                name="organization_charges_the_unpriced_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="planfee",
            constraint=models.UniqueConstraint(
                fields=("subscription", "plan", "period_start"), name="plan_fee_once_per_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="planfee",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_cents__gte", 0), ("full_amount_cents__gte", models.F("amount_cents"))
                ),
                name="plan_fee_is_part_of_the_price",
            ),
        ),
        migrations.AddConstraint(
            model_name="planfee",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("credited_cents__gte", 0),
                    ("replaced_full_cents__gte", models.F("credited_cents")),
                    models.Q(("replaced_plan__isnull", False), ("credited_cents", 0), _connector="OR"),
                ),
                name="plan_fee_credit_is_part_of_the_replaced_price",
            ),
        ),
        migrations.AddConstraint(
            model_name="planfee",
            constraint=models.CheckConstraint(
                condition=models.Q(("period_end__gt", models.F("period_start"))),
                name="plan_fee_period_runs_forward",
            ),
        ),
    ]
