"""The portal's settings, for development and production alike: one switch, DEBUG (architecture.md).

With DEBUG what is not set is embedded; without it a missing name stops the start. Importing this starts nothing.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

from billing_portal.embedded import ports, sandbox
from billing_portal.embedded.places import PORTAL
from billing_portal.settings import connections
from billing_portal.settings.environment import Environment
from billing_portal.settings.logs import logging_settings
from billing_portal.settings.schedule import SCHEDULE

BASE_DIR = Path(__file__).resolve().parents[2]
env = Environment(BASE_DIR / ".env")

# --- what the environment says ---------------------------------------------------------------------------------------

DEBUG = env.debug
PROCESS = os.environ.get("PORTAL_PROCESS", "")  # "web" by gunicorn's configuration, "command" by manage.py
TESTING = False
SECRET_KEY = env.text("SECRET_KEY", embedded="only-with-debug-and-without-a-dotenv-file")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", embedded="localhost,127.0.0.1,[::1]")
SITE_URL = env.text("SITE_URL", embedded=f"http://127.0.0.1:{ports.portal()}").rstrip("/")
ENVIRONMENT = env.text("ENVIRONMENT", default="development" if DEBUG else "production")
PORTAL_NAME = env.text("PORTAL_NAME", default="Billing Portal")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")  # addresses or networks; empty: X-Forwarded-* is ignored
METRICS_ALLOWED_IPS = env.networks("METRICS_ALLOWED_IPS", default="127.0.0.1,::1" if DEBUG else "")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

CREDITS_PER_CURRENCY_UNIT = env.whole("CREDITS_PER_CURRENCY_UNIT", default=100)
PRICE_CURRENCY = env.text("PRICE_CURRENCY", default="USD")
DEFAULT_CURRENCY = env.text("DEFAULT_CURRENCY", default="USD")
HOLD_TTL_SECONDS = env.whole("HOLD_TTL_SECONDS", default=600)
SHORTFALL_LIMIT = env.whole("SHORTFALL_LIMIT", default=1000)  # credits
GRANT_APPROVAL_THRESHOLD = env.whole(
    "GRANT_APPROVAL_THRESHOLD", default=10_000
)  # credits; above it two admins grant

# --- Lago ------------------------------------------------------------------------------------------------------------

# With DEBUG and no address of a Lago: the sandbox that `make run` starts on PORT+1, whose keys are no secrets.
LAGO_IS_SANDBOX = env.is_embedded("LAGO_API_URL")
LAGO_API_URL = env.text("LAGO_API_URL", embedded=sandbox.url())
# During a rotation two keys, separated by a comma, the new one first; so also for webhooks.
LAGO_API_KEY = env.text("LAGO_API_KEY", embedded=sandbox.API_KEY if LAGO_IS_SANDBOX else "")
LAGO_PUBLIC_URL = env.text("LAGO_PUBLIC_URL", default="").rstrip("/")  # where people reach Lago's own pages
LAGO_FILES_URL = env.text("LAGO_FILES_URL", default="").rstrip(
    "/"
)  # a store of Lago's files inside our network
LAGO_TIMEOUT_SECONDS = env.whole("LAGO_TIMEOUT_SECONDS", default=30)
if PROCESS == "web":  # a person waits, and jobs carry on what was recorded
    LAGO_TIMEOUT_SECONDS = min(LAGO_TIMEOUT_SECONDS, 8)
LAGO_WEBHOOK_SIGNATURE_ALGORITHM = env.choice(
    "LAGO_WEBHOOK_SIGNATURE_ALGORITHM", default="hmac", of=("hmac", "jwt")
)
LAGO_WEBHOOK_HMAC_KEY = env.text(
    "LAGO_WEBHOOK_HMAC_KEY",
    default=None if LAGO_WEBHOOK_SIGNATURE_ALGORITHM == "hmac" else "",
    embedded=sandbox.HMAC_KEY if LAGO_IS_SANDBOX else "",
)
LAGO_WEBHOOK_ALLOWED_IPS = env.networks("LAGO_WEBHOOK_ALLOWED_IPS")  # addresses or networks; empty: any
LAGO_PAYMENT_PROVIDER = env.text("LAGO_PAYMENT_PROVIDER", default=sandbox.PROVIDER if LAGO_IS_SANDBOX else "")
LAGO_PAYMENT_PROVIDER_CODE = env.text("LAGO_PAYMENT_PROVIDER_CODE", default=LAGO_PAYMENT_PROVIDER)
LAGO_EVENT_CODES = env.names("LAGO_EVENT_CODES")  # JSON: service -> event code of record_usage
LAGO_AGGREGATE_USAGE = env.flag("LAGO_AGGREGATE_USAGE", default=False)  # one event a member, model and minute
LAGO_RATE_LIMITED = env.flag(  # Lago Cloud's limits, a process's share; a self-hosted Lago has none
    "LAGO_RATE_LIMITED", default="getlago.com" in LAGO_API_URL
)

# --- database, cache, mail -------------------------------------------------------------------------------------------

DATABASES = {"default": env.parsed("DATABASE_URL", connections.database, embedded=PORTAL.database_url)}
if PROCESS == "command":  # a migration may take longer than a request
    connections.lift_limits(DATABASES["default"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

redis = env.parsed("REDIS_URL", connections.redis, embedded=PORTAL.redis_url)
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis.get("cache", ""),
        "KEY_PREFIX": "portal",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
    }
}

# What `make run`, manage.py and the tests start by themselves.
EMBEDDED_PARTS = [
    part for part, name in (("postgres", "DATABASE_URL"), ("valkey", "REDIS_URL")) if env.is_embedded(name)
]

MAIL_FOLDER = PORTAL.folder / "mail"  # what /dev/mail/ shows
mail = env.parsed("EMAIL_URL", environ.Env.email_url_config, embedded=f"filemail://{MAIL_FOLDER}")
EMAIL_BACKEND = str(mail.get("EMAIL_BACKEND", ""))
EMAIL_HOST = str(mail.get("EMAIL_HOST") or "")
EMAIL_PORT = int(mail.get("EMAIL_PORT") or 25)
EMAIL_HOST_USER = str(mail.get("EMAIL_HOST_USER") or "")
EMAIL_HOST_PASSWORD = str(mail.get("EMAIL_HOST_PASSWORD") or "")
EMAIL_USE_TLS = bool(mail.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(mail.get("EMAIL_USE_SSL"))
EMAIL_FILE_PATH = MAIL_FOLDER
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text(
    "DEFAULT_FROM_EMAIL", default=f"billing@{urlsplit(SITE_URL).hostname or 'localhost'}"
)

# --- the project -----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "billing_portal.apps.PortalConfig",
    "lago_sync",
    "credits",
    "orgs.notices",
    "orgs",
    "orgs.audit",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",  # so that templates/django/forms/ overrides its fields
]

# Each one runs on every charge a gateway makes: what costs there is left out or made lazy (docs/operations.md).
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "billing_portal.policy.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "billing_portal.urls"
WSGI_APPLICATION = "billing_portal.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "billing_portal.context_processors.portal",
            ],
        },
    }
]

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": PORTAL.folder / "media"},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- people ----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "orgs.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FORM_CLASS = "orgs.access.signup.SignupForm"  # asks for the name
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "optional" if DEBUG else "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = f"[{PORTAL_NAME}] "
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(SITE_URL).scheme or "https"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
MFA_TOTP_ISSUER = PORTAL_NAME

# In the database: losing Redis signs nobody out.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())

# --- what browsers are told ------------------------------------------------------------------------------------------

SERVED_BY_TLS = SITE_URL.startswith("https://")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SERVED_BY_TLS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]  # a probe speaks plain HTTP to the process itself
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if SERVED_BY_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SERVED_BY_TLS
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"

# No unsafe-inline anywhere: no page has an inline script or style (tests send the same policy).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # the API docs draw their icons from data: URLs
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "manifest-src": ["'self'"],
    }
}

# --- REST API --------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "kit.rest.errors.handle_exception",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["kit.rest.parsing.StrictJSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["orgs.access.permissions.HasScope"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "orgs.access.authentication.KeyAuthentication",
        "orgs.access.authentication.SessionAuthentication",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": f"{PORTAL_NAME} API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024  # the largest body of the contract, a batch of charges

# --- jobs ------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = redis.get("broker", "")
# A task is done when it has ended, so one whose worker is killed runs again; all of ours may run twice.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 60  # seconds
CELERY_TASK_TIME_LIMIT = 90
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,  # above the longest task, or it would run twice side by side
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
}
CELERY_BEAT_SCHEDULE = SCHEDULE

# --- logs ------------------------------------------------------------------------------------------------------------

LOG_LEVEL = env.choice("LOG_LEVEL", default="INFO", of=("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.choice("LOG_FORMAT", default="console" if DEBUG else "json", of=("json", "console"))
LOGGING = logging_settings(level=LOG_LEVEL, style=LOG_FORMAT)

env.stop_if_wrong()
