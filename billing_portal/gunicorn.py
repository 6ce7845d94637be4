"""gunicorn's configuration, the same for `make run` and production: --config python:billing_portal.gunicorn."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_portal.settings.base")
os.environ.setdefault("PORTAL_PROCESS", "web")

from billing_portal.settings import base as settings  # stops here, with its lines, if a name is missing

bind = os.environ.get("BIND", f"127.0.0.1:{os.environ.get('PORT', '8000')}")
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(
    os.environ.get("WEB_THREADS", "8")
)  # workers x threads <= 16 on two cores: each thread has its connection
backlog = 1024
keepalive = 65  # seconds: a gateway keeps its connections, and a proxy in front usually gives up after 60
timeout = 60
graceful_timeout = 28  # `make run` and most platforms kill after 30
max_requests = 0
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - heartbeats, not on a slow disk
accesslog = (
    None  # a line a request costs more than answering a charge from the cache; the proxy in front has one
)
errorlog = "-"
logconfig_dict = settings.LOGGING
forwarded_allow_ips = ""  # who may say X-Forwarded-*: TRUSTED_PROXIES, see proxies.py
control_socket_disable = True  # it would write into the home folder
