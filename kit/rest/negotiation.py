"""What a view answers in, whatever a client says that it would take."""

from collections.abc import Iterable

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class OnlyJSON(DefaultContentNegotiation):
    """Answers are JSON whatever `Accept` says; what comes in must still say that it is JSON (415)."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return next(iter(renderers)), "application/json"
