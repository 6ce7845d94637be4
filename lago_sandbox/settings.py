"""Django's settings of the sandbox; everything that can differ comes from the environment that `__main__` prepares."""

import os
from pathlib import Path

import django_stubs_ext

django_stubs_ext.monkeypatch()  # Django's field classes become subscriptable, which mypy asks for

BASE_DIR = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("LAGO_SANDBOX_FOLDER", "var/sandbox"))
URL = os.environ.get("LAGO_SANDBOX_URL", "http://127.0.0.1:8001")  # where this process answers
API_KEY = os.environ.get("LAGO_SANDBOX_API_KEY") or "lago-sandbox-key"
HMAC_KEY = os.environ.get("LAGO_SANDBOX_HMAC_KEY") or "11111111-2222-3333-4444-555555555555"
RETURN_URL = os.environ.get("LAGO_SANDBOX_RETURN_URL", "")  # the payment provider's success_redirect_url

DEBUG = False
SECRET_KEY = f"sandbox-{API_KEY}"  # signs nothing but the CSRF tokens of pages on the loopback
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ROOT_URLCONF = "lago_sandbox.urls"
WSGI_APPLICATION = "lago_sandbox.wsgi.application"
INSTALLED_APPS = ["lago_sandbox.apps.Sandbox"]
MIDDLEWARE = [
    "lago_sandbox.middleware.loopback_only",
    "lago_sandbox.middleware.security_headers",
    "lago_sandbox.middleware.count_requests",
    "lago_sandbox.middleware.limit_rate",
    "lago_sandbox.middleware.inject_faults",
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "sandbox.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # NORMAL with WAL: what was committed survives the death of the process.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
# Cookies know no ports: another name, so that the portal beside us keeps its own.
CSRF_COOKIE_NAME = "lago_sandbox_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"django.request": {"level": "ERROR"}},
}
