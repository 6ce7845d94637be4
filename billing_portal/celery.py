"""The Celery application; its settings are Django's with the prefix CELERY_."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_portal.settings.base")

app = Celery("billing_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def leave_logging_to_django(**_: Any) -> None:
    """Being connected is all: Celery then does not set up logging of its own."""


@worker_ready.connect
@beat_init.connect
def say_ready(**_: Any) -> None:
    """Tell a supervisor that waits for it that jobs are taken now (worker) or sent (beat)."""
    if file := os.environ.get("PORTAL_READY_FILE"):
        Path(file).touch()
