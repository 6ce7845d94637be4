"""The errors that a domain raises and an edge answers with. Not for: errors of one domain, which stand beside the verb that raises them."""

from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal that its caller can act on; edges show it as `{"error": {"code", "message", "details"}}`.

    `code` and `status` are contract.md §4's; subclasses set both and build their own message from the facts.
    """

    code: ClassVar[str] = "conflict"
    status: ClassVar[int] = 409

    def __init__(self, message: str, /, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidRequest(DomainError):
    """The request cannot be read: not JSON, two organizations named, a missing key."""

    code = "invalid_request"
    status = 400


class ValidationError(DomainError):
    """Fields were read and refused; `details` maps each field to its sentence."""

    code = "validation_error"
    status = 422

    def __init__(self, /, **fields: str) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in fields.items()), **fields)


class Unauthorized(DomainError):
    """No key, an unknown or ended one, or no session."""

    code = "unauthorized"
    status = 401


class NotFound(DomainError):
    """It does not exist, or the caller may not know that it does."""

    code = "not_found"
    status = 404


class PermissionDenied(DomainError):
    """The caller may know of it but may not do this."""

    code = "permission_denied"
    status = 403


class Conflict(DomainError):
    """The present state does not allow it."""


class AlreadyExists(DomainError):
    """Something with this name or key is there already."""

    code = "already_exists"


class TryAgain(DomainError):
    """Nothing was decided: a lock timed out or the database was gone. Safe to retry with the same key."""

    code = "try_again"
    status = 503
    retry_after_seconds: ClassVar[int] = 1

    def __init__(
        self, message: str = "The ledger was busy and decided nothing; send the same request again."
    ) -> None:
        super().__init__(message)
