from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Evidence: who did what, chained so that a change shows. Rows name things by public id and outlive them."""

    name = "orgs.audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"
