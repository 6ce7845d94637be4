from django.apps import AppConfig


class BenchConfig(AppConfig):
    """The benchmark's own tables: the opponent's, under the prefix `textbook_`."""

    name = "bench"
    label = "textbook"
    default_auto_field = "django.db.models.BigAutoField"
