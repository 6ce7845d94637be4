"""One log: structlog and the standard library's loggers end in the same lines, JSON for machines or text for eyes."""

import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

ACCESS_KEY = re.compile(r"\bcpk_\w{4,}")


def mask_access_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace anything that looks like an access key: a log is read by more people than may use one."""
    return {
        name: ACCESS_KEY.sub("cpk_…", value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def logging_settings(*, level: str, style: str) -> dict[str, Any]:
    """Set structlog up and return Django's LOGGING; `style` is json or console."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:3],
            *shared[4:],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": "structlog.stdlib.ProcessorFormatter",
        "foreign_pre_chain": shared,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending(style)],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True},
        },
    }


def ending(style: str) -> list[Processor]:
    """Return the processors that turn an event into its line."""
    if style == "console":
        return [
            mask_access_keys,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    return [structlog.processors.format_exc_info, mask_access_keys, structlog.processors.JSONRenderer()]
