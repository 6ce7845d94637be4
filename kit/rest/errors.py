"""Every error below `/api/` and `/webhooks/` in the one shape: `{"error": {"code", "message", "details"}}`."""

import logging
from typing import Any, Final

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from kit import transactions
from kit.errors import DomainError, TryAgain
from kit.identifiers import public_id

logger = logging.getLogger(__name__)

BROKEN: Final = "Something broke on our side."

_CODES: Final = {
    400: "invalid_request",
    401: "unauthorized",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "invalid_request",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limit_exceeded",
}


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception of an API view (DRF's EXCEPTION_HANDLER); None lets an unknown one become a 500."""
    set_rollback()
    if isinstance(error, DomainError):
        return answer(error)
    if isinstance(error, (Http404, RequestDataTooBig, DjangoPermissionDenied)):
        status = {Http404: 404, RequestDataTooBig: 413}.get(type(error), 403)
        return _shaped(
            status, _CODES[status], "Not found." if status == 404 else str(error) or "Not allowed."
        )
    if isinstance(error, exceptions.APIException):
        return _framework_error(error)
    if isinstance(error, (DatabaseError, InterfaceError)) and transactions.is_busy(error):
        logger.warning("database busy: %s", error)
        return answer(TryAgain())
    return _broken(error)


def answer(error: DomainError) -> Response:
    """Return the response for a domain error, with `Retry-After` where a retry makes sense."""
    if error.status == 500:
        return _broken(error)
    response = _shaped(error.status, error.code, error.message, **error.details)
    if error.status == 503:
        response["Retry-After"] = str(getattr(error, "retry_after_seconds", 1))
    elif error.status == 429 and "retry_after" in error.details:
        response["Retry-After"] = str(error.details["retry_after"])
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def body(code: str, message: str, /, **details: Any) -> dict[str, Any]:
    """Return the one shape."""
    return {"error": {"code": code, "message": message, "details": details}}


def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer an unknown path below the API."""
    return JsonResponse(body("not_found", "There is nothing at this address."), status=404)


def _broken(error: Exception) -> Response:
    """Answer what nobody foresaw: an id to ask us with, and nothing of what happened, which the log has."""
    return _shaped(500, "internal_error", BROKEN, request_id=logged(error))


def logged(error: Exception) -> str:
    """Write down what nobody foresaw and return the id to ask us with."""
    request_id = public_id("req")
    logger.error("unexpected error %s", request_id, exc_info=error)
    return request_id


def _framework_error(error: exceptions.APIException) -> Response:
    status = (
        401
        if isinstance(error, (exceptions.NotAuthenticated, exceptions.AuthenticationFailed))
        else error.status_code
    )
    response = _shaped(status, _CODES.get(status, error.default_code), str(getattr(error, "detail", error)))
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _shaped(status: int, code: str, message: str, /, **details: Any) -> Response:
    return Response(body(code, message, **details), status=status)
