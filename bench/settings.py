"""Settings of the benchmark: the portal's own, as in production, plus the opponent's tables and address.

What the environment must name is set by `bench.machine` before this is imported.
"""

from billing_portal.settings.base import *  # noqa: F403 - the usual way to say "all of base, and"
from billing_portal.settings.base import INSTALLED_APPS as PORTAL_APPS

INSTALLED_APPS = [*PORTAL_APPS, "bench.apps.BenchConfig"]
ROOT_URLCONF = "bench.urls"
