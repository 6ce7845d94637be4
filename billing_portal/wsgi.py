"""What gunicorn serves."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_portal.settings.base")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from billing_portal import proxies

application = proxies.trusting(get_wsgi_application(), settings.TRUSTED_PROXIES)
