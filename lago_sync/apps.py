from django.apps import AppConfig


class LagoSyncConfig(AppConfig):
    """Everything between the portal and Lago: buying, subscriptions, usage, webhooks (docs/lago.md)."""

    name = "lago_sync"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from lago_sync import receivers

        receivers.connect()
