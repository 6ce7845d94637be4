"""Lago's error bodies, one class a kind; the API layer turns them into answers."""

from typing import Any


class ApiError(Exception):
    """An answer that is not 200; raising it takes back what the request wrote."""

    status = 500
    error = "Internal Server Error"

    def __init__(self, code: str | None = None, details: Any = None) -> None:
        super().__init__(code or self.error)
        self.code = code
        self.details = details

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = {"status": self.status, "error": self.error}
        if self.code is not None:
            found["code"] = self.code
        if self.details is not None:
            found["error_details"] = self.details
        return found


class BadRequest(ApiError):
    """400: has no code."""

    status = 400

    def __init__(self, said: str) -> None:
        super().__init__()
        self.error = said


class MissingRoot(BadRequest):
    """400: the object that everything stands in is not there, or empty."""

    def __init__(self, root: str) -> None:
        super().__init__(f"BadRequest: param is missing or the value is empty or invalid: {root}")


class Unauthorized(ApiError):
    """401: has no code."""

    status = 401
    error = "Unauthorized"


class Forbidden(ApiError):
    status = 403
    error = "Forbidden"


class NotFound(ApiError):
    """404 with `<resource>_not_found`."""

    status = 404
    error = "Not Found"

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource}_not_found")


class NotAllowed(ApiError):
    """405: the state of the thing forbids it."""

    status = 405
    error = "Method Not Allowed"


class Invalid(ApiError):
    """422: `details` has one of Lago's four shapes."""

    status = 422
    error = "Unprocessable Entity"

    def __init__(self, details: Any) -> None:
        super().__init__("validation_errors", details)
