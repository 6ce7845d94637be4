"""What a form says when the ledger refused: the sentence beside the field that it is about."""

from decimal import Decimal
from typing import Final

from django import forms
from django.http import HttpRequest

from credits import amounts
from credits.ledger.payers import InsufficientCredits
from credits.sharing.allocations import AllocationInUse
from credits.views.pools import Source
from kit.errors import DomainError, InvalidRequest, TryAgain, ValidationError
from orgs.access import pages
from orgs.access.idempotency import IdempotencyConflict

_FIELDS: Final = {"expires_at": "expires_on"}
"""What a form calls otherwise than the verb."""


def explain(refusal: DomainError, form: forms.Form, *, source: Source | None) -> None:
    """Add the refusal to the form."""
    if isinstance(refusal, InsufficientCredits):
        form.add_error("credits", _too_little(refusal, source))
    elif isinstance(refusal, AllocationInUse):
        bound = Decimal(refusal.details["used"]) + Decimal(refusal.details["held"])
        form.add_error(
            "credits", f"{amounts.display(bound)} credits of it are used or held; it cannot go below that."
        )
    elif isinstance(refusal, ValidationError):
        for name, why in refusal.details.items():
            field = _FIELDS.get(name, name)
            label = name.replace("_", " ").capitalize()
            form.add_error(field if field in form.fields else None, f"{label} {why}.")
    else:
        spent = isinstance(refusal, (IdempotencyConflict, InvalidRequest))
        form.add_error(None, forms.ValidationError(sentence(refusal), code="spent" if spent else "refused"))


def key_for(request: HttpRequest, form: forms.Form | None) -> str:
    """Return the key of the form to show: the one that came, so that nothing refused counts as done; else a new one."""
    came = request.POST.get(pages.FORM_KEY, "")
    if form is None or not came or form.has_error("__all__", code="spent"):
        return pages.new_key()
    return came


def _too_little(refusal: InsufficientCredits, source: Source | None) -> str:
    limit = refusal.details["limit"]
    free, needed = (amounts.display(Decimal(limit[name])) for name in ("remaining", "needed"))
    name = source.name if source is not None else "The pool"
    return f"{name} has {free} credits free; this needs {needed}."


def sentence(refusal: DomainError) -> str:
    """Return a refusal that is about no field."""
    if isinstance(refusal, IdempotencyConflict):
        return "This form was sent before, with other values. Nothing was changed; check and send it again."
    if isinstance(refusal, InvalidRequest):
        return "This form was damaged on its way. Send it again."
    if isinstance(refusal, TryAgain):
        return "The ledger was busy and nothing was changed. Send it again."
    return refusal.message
