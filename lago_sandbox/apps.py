"""The sandbox as a Django application."""

from django.apps import AppConfig


class Sandbox(AppConfig):
    """One application, one database."""

    name = "lago_sandbox"
    label = "lago_sandbox"
