"""The opponent's view as it was given, behind what checks a key on our hot path."""

from bench.textbook import ChargeView
from credits.api.usage import UsageView


class TextbookCharges(ChargeView):
    """Charge as the textbook does; who may is decided as for `/api/v1/usage/charges`."""

    authentication_classes = UsageView.authentication_classes
    permission_classes = UsageView.permission_classes
    required_scopes = UsageView.required_scopes
