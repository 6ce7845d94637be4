"""Plans as Lago has them: price and interval are Lago's, limits and included credits are `orgs`' (product.md §9)."""

from django.db import models


class LagoPlan(models.Model):
    """A plan at Lago, kept so that pages answer while Lago is away; `is_offered` is false once it is gone there."""

    code = models.CharField(max_length=64, primary_key=True)
    lago_id = models.UUIDField(unique=True)
    name = models.CharField(max_length=120)
    interval = models.CharField(max_length=16, help_text="weekly, monthly, quarterly, semiannual or yearly")
    amount_cents = models.BigIntegerField(help_text="of one interval, in minor units")
    currency = models.CharField(max_length=3)
    is_offered = models.BooleanField(default=True)
    synced_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
