from django.apps import AppConfig


class LagoSyncConfig(AppConfig):
    """Everything between the portal and Lago. For now: the outbox in which usage waits to be told."""

    name = "lago_sync"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from lago_sync import receivers

        receivers.connect()
