from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """What people are told: an inbox in the portal, and mails, each kind of which its receiver may switch off."""

    name = "orgs.notices"
    label = "notices"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from orgs.notices import receivers

        receivers.connect()
