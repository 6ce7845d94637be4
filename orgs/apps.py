from django.apps import AppConfig


class OrgsConfig(AppConfig):
    """Who exists and who belongs where: users, organizations, memberships, departments, plans, keys."""

    name = "orgs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from orgs.access import credentials

        credentials.connect()
