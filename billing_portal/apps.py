from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The composition root: what spans apps and belongs to none of them."""

    name = "billing_portal"
    label = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        # `shared_task` binds to the app that was made last, so it has to exist wherever a task can be sent from.
        from billing_portal import celery, checks  # noqa: F401
