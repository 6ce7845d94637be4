"""Settings of the benchmark: the portal's own, as in production, plus the opponent's tables and address.

What the environment must name is set by `bench.machine` before this is imported.
"""

from billing_portal.settings.base import *  # noqa: F403 - the usual way to say "all of base, and"
from billing_portal.settings.base import INSTALLED_APPS as PORTAL_APPS
from billing_portal.settings.base import STORAGES as PORTAL_STORAGES

INSTALLED_APPS = [*PORTAL_APPS, "bench.apps.BenchConfig"]
ROOT_URLCONF = "bench.urls"
# Pages are measured without `collectstatic` before: the names of static files carry no digest.
STORAGES = PORTAL_STORAGES | {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
