"""Settings of the Celery worker of a journey: the test suite's, with a real broker and the addresses of that journey."""

import os

from billing_portal.settings import connections
from billing_portal.settings.test import *  # noqa: F403 - all of the test settings, but

CELERY_BROKER_URL = connections.redis(
    os.environ["TEST_REDIS_URL"], number=int(os.environ["JOURNEY_BROKER_NUMBER"])
)["broker"]
LAGO_API_URL = os.environ["JOURNEY_LAGO_URL"]
LAGO_PAYMENT_PROVIDER = LAGO_PAYMENT_PROVIDER_CODE = "stripe"
