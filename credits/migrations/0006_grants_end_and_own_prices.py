"""Grants with priority, expiry and cost; prices of an organization; sizes of answers; proofs of the laws."""

from decimal import Decimal

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import credits.amounts
import kit.identifiers


class Migration(migrations.Migration):
    dependencies = [
        ("credits", "0005_words_are_known"),
        ("orgs", "0005_paid_fees_and_unpriced"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GrantBalance",
            fields=[
                (
                    "grant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="balance",
                        serialize=False,
                        to="credits.grant",
                    ),
                ),
                ("credits", credits.amounts.CreditsField(decimal_places=6, max_digits=24)),
                (
                    "consumed",
                    credits.amounts.CreditsField(decimal_places=6, default=Decimal(0), max_digits=24),
                ),
                (
                    "expired",
                    credits.amounts.CreditsField(decimal_places=6, default=Decimal(0), max_digits=24),
                ),
                (
                    "withdrawn",
                    credits.amounts.CreditsField(decimal_places=6, default=Decimal(0), max_digits=24),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="OutputSize",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("model", models.CharField(max_length=128)),
                ("calls", models.PositiveIntegerField()),
                ("percentile_95", models.PositiveBigIntegerField()),
                ("refreshed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ProposedGrant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kit.identifiers.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("purchase", "Purchase"),
                            ("plan", "Plan"),
                            ("promotion", "Promotion"),
                            ("goodwill", "Goodwill"),
                            ("adjustment", "Adjustment"),
                            ("migration", "Migration"),
                        ],
                        max_length=16,
                    ),
                ),
                ("credits", credits.amounts.CreditsField(decimal_places=6, max_digits=24)),
                ("reference", models.CharField(max_length=128)),
                ("reason", models.CharField(max_length=500)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("approved", "Approved"), ("declined", "Declined")],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("proposed_by", models.CharField(max_length=64)),
                ("proposed_at", models.DateTimeField()),
                ("decided_by", models.CharField(blank=True, max_length=64)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="UnpricedUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("tokens", "Tokens"), ("images", "Images"), ("units", "Units")], max_length=8
                    ),
                ),
                ("name", models.CharField(max_length=128)),
                ("refused", models.PositiveBigIntegerField(default=0)),
                (
                    "charged",
                    models.PositiveBigIntegerField(
                        default=0, help_text="held or charged flat, or at a hold's amount"
                    ),
                ),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "unpriced uses",
            },
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField()),
                ("organizations", models.PositiveIntegerField()),
                ("laws", models.PositiveIntegerField()),
                ("violations", models.PositiveIntegerField()),
                ("found", models.JSONField(default=list, help_text="the first violations, as sentences")),
            ],
        ),
        migrations.CreateModel(
            name="Withdrawal",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kit.identifiers.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("reference", models.CharField(max_length=128)),
                (
                    "credits",
                    credits.amounts.CreditsField(
                        decimal_places=6, help_text="asked for: withdrawn + owed", max_digits=24
                    ),
                ),
                ("withdrawn", credits.amounts.CreditsField(decimal_places=6, max_digits=24)),
                ("owed", credits.amounts.CreditsField(decimal_places=6, max_digits=24)),
                ("reason", models.CharField(max_length=500)),
                ("made_by", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="price",
            name="price_once_per_start",
        ),
        migrations.RemoveConstraint(
            model_name="usagerecord",
            name="usage_record_kind_is_known",
        ),
        migrations.AddField(
            model_name="grant",
            name="currency",
            field=models.CharField(blank=True, max_length=3),
        ),
        migrations.AddField(
            model_name="grant",
            name="expires_at",
            field=models.DateTimeField(blank=True, help_text="as promised; empty is never", null=True),
        ),
        migrations.AddField(
            model_name="grant",
            name="paid_cents",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="grant",
            name="priority",
            field=models.PositiveSmallIntegerField(default=100, help_text="lower ones are used first"),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="price",
            name="changed_at",
            field=models.DateTimeField(auto_now=True, db_index=True),
        ),
        migrations.AddField(
            model_name="price",
            name="organization",
            field=models.ForeignKey(
                blank=True,
                help_text="whose own price it is; empty: everybody's",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="prices",
                to="orgs.organization",
            ),
        ),
        migrations.AlterField(
            model_name="price",
            name="name",
            field=models.CharField(
                help_text="model or the beginning of its name, unit of a service, or *", max_length=128
            ),
        ),
        migrations.AlterField(
            model_name="usagerecord",
            name="kind",
            field=models.CharField(
                choices=[
                    ("charge", "Charge"),
                    ("reversal", "Reversal"),
                    ("settlement", "Settlement"),
                    ("forgiveness", "Forgiveness"),
                ],
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="dailyusage",
            index=models.Index(fields=["day", "organization"], name="daily_usage_of_day"),
        ),
        migrations.AddIndex(
            model_name="usagerecord",
            index=models.Index(fields=["organization", "user", "-id"], name="usage_record_newest_of_member"),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("currency", ""), ("paid_cents__isnull", True)),
                    models.Q(
                        ("paid_cents__gte", 0),
                        ("paid_cents__isnull", False),
                        models.Q(("currency", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="grant_paid_names_its_currency",
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("expires_at__isnull", True), ("expires_at__gt", models.F("created_at")), _connector="OR"
                ),
                name="grant_expires_after_it_was_made",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", ["expire", "withdraw"]), _negated=True),
                    ("grant__isnull", False),
                    _connector="OR",
                ),
                name="ledger_entry_that_leaves_names_its_grant",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                condition=models.Q(("organization__isnull", True)),
                fields=("kind", "name", "size", "quality", "valid_from"),
                name="price_once_per_start",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                condition=models.Q(("organization__isnull", False)),
                fields=("organization", "kind", "name", "size", "quality", "valid_from"),
                name="price_of_organization_once_per_start",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_until__isnull", True),
                    ("valid_until__gt", models.F("valid_from")),
                    _connector="OR",
                ),
                name="price_ends_after_it_starts",
            ),
        ),
        migrations.AddConstraint(
            model_name="usagerecord",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["charge", "reversal", "settlement", "forgiveness"])),
                name="usage_record_kind_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="usagerecord",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "forgiveness"), _negated=True),
                    models.Q(("credits", 0), ("shortfall__gt", 0)),
                    _connector="OR",
                ),
                name="usage_record_forgiveness_moves_nothing",
            ),
        ),
        migrations.AddField(
            model_name="grantbalance",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.organization"
            ),
        ),
        migrations.AddField(
            model_name="outputsize",
            name="organization",
            field=models.ForeignKey(
                help_text="empty: everybody's",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="orgs.organization",
            ),
        ),
        migrations.AddField(
            model_name="proposedgrant",
            name="grant",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="credits.grant",
            ),
        ),
        migrations.AddField(
            model_name="proposedgrant",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.organization"
            ),
        ),
        migrations.AddField(
            model_name="unpriceduse",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.organization"
            ),
        ),
        migrations.AddIndex(
            model_name="verification",
            index=models.Index(fields=["-finished_at"], name="verification_newest"),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="grant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="withdrawals", to="credits.grant"
            ),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.organization"
            ),
        ),
        migrations.AddIndex(
            model_name="grantbalance",
            index=models.Index(
                condition=models.Q(
                    ("expires_at__isnull", False),
                    (
                        "credits__gt",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("consumed"), "+", models.F("expired")
                            ),
                            "+",
                            models.F("withdrawn"),
                        ),
                    ),
                ),
                fields=["expires_at"],
                name="grant_balance_next_to_expire",
            ),
        ),
        migrations.AddConstraint(
            model_name="grantbalance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("consumed__gte", 0),
                    ("credits__lte", Decimal("999999999999999999.999999")),
                    ("expired__gte", 0),
                    ("withdrawn__gte", 0),
                    (
                        "credits__gte",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("consumed"), "+", models.F("expired")
                            ),
                            "+",
                            models.F("withdrawn"),
                        ),
                    ),
                ),
                name="grant_balance_uses_no_more_than_was_granted",
            ),
        ),
        migrations.AddConstraint(
            model_name="outputsize",
            constraint=models.UniqueConstraint(
                condition=models.Q(("organization__isnull", True)),
                fields=("model",),
                name="output_size_of_everybody",
            ),
        ),
        migrations.AddConstraint(
            model_name="outputsize",
            constraint=models.UniqueConstraint(
                condition=models.Q(("organization__isnull", False)),
                fields=("organization", "model"),
                name="output_size_of_organization",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposedgrant",
            constraint=models.UniqueConstraint(
                fields=("organization", "source", "reference"), name="proposed_grant_once_per_reference"
            ),
        ),
        migrations.AddConstraint(
            model_name="proposedgrant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("credits__gt", 0), ("credits__lte", Decimal("999999999999999999.999999"))
                ),
                name="proposed_grant_above_zero",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposedgrant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at", None), ("decided_by", ""), ("grant", None), ("status", "pending")
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("grant", None),
                        ("status", "declined"),
                        models.Q(("decided_by", ""), _negated=True),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("grant__isnull", False),
                        ("status", "approved"),
                        models.Q(("decided_by", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="proposed_grant_is_decided_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposedgrant",
            constraint=models.CheckConstraint(
                condition=models.Q(("decided_by", models.F("proposed_by")), _negated=True),
                name="proposed_grant_is_decided_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="unpriceduse",
            constraint=models.UniqueConstraint(
                fields=("organization", "kind", "name"), name="unpriced_use_once_per_organization"
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.UniqueConstraint(
                fields=("organization", "reference"), name="withdrawal_once_per_reference"
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("credits__gt", 0),
                    ("credits__lte", Decimal("999999999999999999.999999")),
                    ("owed__gte", 0),
                    ("withdrawn__gte", 0),
                    (
                        "credits",
                        django.db.models.expressions.CombinedExpression(
                            models.F("withdrawn"), "+", models.F("owed")
                        ),
                    ),
                ),
                name="withdrawal_is_taken_or_owed",
            ),
        ),
    ]
