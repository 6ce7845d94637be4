from django.apps import AppConfig


class CreditsConfig(AppConfig):
    """The ledger: pools, allocations, holds, charges and what they cost. It knows nothing of Lago."""

    name = "credits"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from credits import receivers

        receivers.connect()
