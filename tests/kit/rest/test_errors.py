"""Every exception of an API view becomes the one shape, and never a stack trace, SQL or a 500 for what a client did."""

import pytest
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from kit import errors as domain
from kit.rest.errors import handle_exception


def answered(error: Exception) -> Response:
    answer = handle_exception(error, {})
    assert answer is not None
    return answer


class Quota(domain.DomainError):
    code = "quota_exceeded"
    status = 429


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (domain.InvalidRequest("x"), 400, "invalid_request"),
        (domain.ValidationError(name="x"), 422, "validation_error"),
        (domain.NotFound("x"), 404, "not_found"),
        (domain.PermissionDenied("x"), 403, "permission_denied"),
        (domain.Conflict("x"), 409, "conflict"),
        (domain.AlreadyExists("x"), 409, "already_exists"),
        (domain.TryAgain(), 503, "try_again"),
        (Http404(), 404, "not_found"),
        (DjangoPermissionDenied(), 403, "permission_denied"),
        (exceptions.NotAuthenticated(), 401, "unauthorized"),
        (exceptions.AuthenticationFailed(), 401, "unauthorized"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("text/csv"), 415, "unsupported_media_type"),
        (exceptions.ParseError(), 400, "invalid_request"),
        (exceptions.Throttled(), 429, "rate_limit_exceeded"),
        (OperationalError("server closed the connection"), 503, "try_again"),
        (InterfaceError("connection already closed"), 503, "try_again"),
        (ProgrammingError("column secret does not exist"), 500, "internal_error"),
        (ZeroDivisionError("secret"), 500, "internal_error"),
    ],
)
def test_has_its_status_and_code_in_the_one_shape(error, status, code, db):
    answer = answered(error)
    assert answer.status_code == status
    assert set(answer.data) == {"error"}
    assert set(answer.data["error"]) == {"code", "message", "details"}
    assert answer.data["error"]["code"] == code
    assert "secret" not in str(answer.data)


@pytest.mark.parametrize("name", ["status", "code", "message", "details", "self", "error"])
def test_a_field_of_any_name_can_be_refused(name, db):
    answer = answered(domain.ValidationError(**{name: "There is no such field."}))
    assert answer.status_code == 422
    assert answer.data["error"]["details"] == {name: "There is no such field."}


def test_says_when_to_come_back(db):
    assert answered(domain.TryAgain())["Retry-After"] == "1"
    assert answered(Quota("x", retry_after=30))["Retry-After"] == "30"
    assert answered(exceptions.NotAuthenticated())["WWW-Authenticate"] == "Bearer"


def test_an_unexpected_one_is_found_again_by_its_request_id(db, caplog):
    answer = answered(ZeroDivisionError("secret"))
    assert answer.data["error"]["details"]["request_id"].startswith("req_")
