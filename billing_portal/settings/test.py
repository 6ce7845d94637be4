"""Settings of the test suite: base.py as with DEBUG off, on servers that pytest's controller started for itself."""

import os

os.environ |= {
    "DEBUG": "1",  # so that nothing is required while base.py is read; the switch itself is off below
    "SITE_URL": "http://testserver",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "SECRET_KEY": "only-for-tests",
    "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
    "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
    "LAGO_API_URL": "http://127.0.0.1:9",  # nobody listens: a test that talks to Lago asks for the fixture `lago`
    "LAGO_API_KEY": "lago-sandbox-key",
    "LAGO_WEBHOOK_HMAC_KEY": "11111111-2222-3333-4444-555555555555",
    "LOG_LEVEL": "WARNING",
}

from billing_portal.settings import connections
from billing_portal.settings.base import *  # noqa: F403 - the usual way to say "all of base, but"
from billing_portal.settings.base import CACHES, DATABASES, STORAGES

DEBUG = False
TESTING = True
ENVIRONMENT = "test"

# The SQL clock and the triggers read these two; no other settings may carry them (billing_portal/checks.py).
SESSION = {"portal.testing": "on", "portal.allow_truncate": "on"}
if url := os.environ["DATABASE_URL"]:
    DATABASES["default"] = connections.database(url, session=SESSION)

if url := os.environ["REDIS_URL"]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    CACHES["default"]["LOCATION"] = connections.redis(url, number=worker + 1)["cache"]

EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True
CELERY_BROKER_URL = "memory://"
