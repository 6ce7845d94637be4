"""What may be done to a department on its page: for each act its form, who may, and the one call that it makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms

from credits import amounts
from credits.sharing import transfers
from credits.views.department_forms import AmountForm, ConfirmForm, MemberForm, MembersForm, NameForm
from credits.views.pools import pool_of
from orgs import departments, memberships
from orgs.access.capabilities import Capability
from orgs.audit.events import Actor
from orgs.models import Department


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """`run` does it and returns the sentence to show; `offers` names whom its form offers; `ends` leaves the page."""

    form: type[forms.Form]
    needs: Capability
    run: Callable[[Department, Mapping[str, Any], Actor], str]
    offers: str = ""
    ends: bool = False


def _fund(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    return _move(department, given["credits"], by)


def _return(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    return _move(department, -given["credits"], by)


def _move(department: Department, credits: Decimal, by: Actor) -> str:
    own, theirs = transfers.move(department=department, credits=credits, by=by)
    what = "given to" if credits > 0 else "taken back from"
    return (
        f"{amounts.display(abs(credits))} credits {what} {department.name}. "
        f"{pool_of(department.name)} has {amounts.display(theirs.available)} free now, "
        f"{pool_of(department.organization.name)} {amounts.display(own.available)}."
    )


def _rename(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    named = departments.rename(department=department, name=given["name"], by=by)
    return f"The department is called {named.name} now."


def _archive(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    departments.archive(department=department, by=by)
    return (
        f"{department.name} is archived. What was unspent is back; "
        "its members are in no department and its use stays in the reports."
    )


def _add_manager(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    departments.add_manager(department=department, membership=given["member"], by=by)
    return f"{given['member'].user.name} manages {department.name} now."


def _remove_manager(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    departments.remove_manager(department=department, membership=given["member"], by=by)
    return f"{given['member'].user.name} manages {department.name} no more."


def _move_in(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    moved = given["members"]
    memberships.move_all(memberships=moved, department=department, by=by)
    who = moved[0].user.name if len(moved) == 1 else f"{len(moved)} members"
    return f"{who} came into {department.name}. What they had unspent went back to where it came from."


def _move_out(department: Department, given: Mapping[str, Any], by: Actor) -> str:
    memberships.move(membership=given["member"], department=None, by=by)
    return f"{given['member'].user.name} is in no department now. What they had unspent went back."


ACTS: Final[Mapping[str, Act]] = {
    "fund": Act(form=AmountForm, needs=Capability.BUY, run=_fund),
    "return": Act(form=AmountForm, needs=Capability.BUY, run=_return),
    "rename": Act(form=NameForm, needs=Capability.ADMINISTER, run=_rename),
    "archive": Act(form=ConfirmForm, needs=Capability.ADMINISTER, run=_archive, ends=True),
    "add-manager": Act(form=MemberForm, needs=Capability.ADMINISTER, run=_add_manager, offers="no managers"),
    "remove-manager": Act(
        form=MemberForm, needs=Capability.ADMINISTER, run=_remove_manager, offers="managers"
    ),
    "move-in": Act(form=MembersForm, needs=Capability.ADMINISTER, run=_move_in, offers="elsewhere"),
    "move-out": Act(form=MemberForm, needs=Capability.ADMINISTER, run=_move_out, offers="members"),
}
