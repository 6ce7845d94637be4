"""A process of its own that delivers, as one of several workers: says "ready", waits for a line, prints what came of it."""

import dataclasses
import json
import sys

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django must be up before what needs it
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from lago_sync.outbox import delivery  # noqa: E402

settings.LAGO_API_URL = sys.argv[1]
connection.ensure_connection()
print("ready", flush=True)  # noqa: T201 - how processes talk
sys.stdin.readline()
print(json.dumps(dataclasses.asdict(delivery.deliver_due(now=timezone.now()))), flush=True)  # noqa: T201
