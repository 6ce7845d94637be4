"""The forms that share out credits. Amounts stay what people typed until `credits.amounts` reads them."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from django import forms

from credits.sharing.allocations import Mode
from credits.views.fields import CreditsInput
from credits.views.pools import pool_of
from credits.views.reach import Reach
from orgs.models import Membership

MOST_CHOICES: Final = 500
"""Members that one list offers; beyond that the page asks for a part of the name first."""

_PUBLIC_ID: Final = re.compile(r"usr_[A-Za-z0-9]{1,60}", re.ASCII)


class ShareForm(forms.Form):
    """How much one member shall have."""

    credits = CreditsInput(label="Credits")
    mode = forms.ChoiceField(
        label="How",
        choices=[(Mode.SET, "Set to this amount"), (Mode.ADD, "Add to what they have")],
        initial=Mode.SET,
        widget=forms.RadioSelect,
    )
    notes = forms.CharField(
        label="Note", required=False, max_length=500, help_text="Optional. Kept with the allocation."
    )

    def clean_notes(self) -> str:
        """Return the note on one line."""
        return " ".join(str(self.cleaned_data["notes"]).split())

    def clean(self) -> dict[str, Any]:
        """Refuse an addition of nothing."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("mode") == Mode.ADD and cleaned.get("credits") == Decimal(0):
            self.add_error("credits", "Adding 0 changes nothing.")
        return cleaned


class AllocateForm(ShareForm):
    """Who shall have how much. The members within reach are offered by the pool that pays; others do not exist here."""

    member = forms.CharField(label="Member", widget=forms.Select)
    field_order = ("member", "credits", "mode", "notes")

    def __init__(self, *args: Any, reach: Reach, search: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._members = reach.members()
        found = self._members.filter(user__name__icontains=search) if search else self._members
        offered = list(found[: MOST_CHOICES + 1])
        self.is_cut = len(offered) > MOST_CHOICES
        select = self.fields["member"].widget
        if isinstance(select, forms.Select):
            select.choices = [("", "Choose a member"), *_grouped(offered[:MOST_CHOICES], reach)]

    def clean_member(self) -> Membership:
        """Return the membership of the chosen member."""
        public_id = str(self.cleaned_data["member"])
        found = (
            self._members.filter(user__public_id=public_id).first()
            if _PUBLIC_ID.fullmatch(public_id)
            else None
        )
        if found is None:
            raise forms.ValidationError("Choose a member from the list.")
        return found


def _grouped(members: Iterable[Membership], reach: Reach) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for member in members:
        funded = member.department is not None and hasattr(member.department, "credit_pool")
        owner = member.department.name if funded and member.department else reach.organization.name
        user = member.user
        label = f"{user.name} ({user.email})" if user.email else user.name
        groups.setdefault(f"From {pool_of(owner)}", []).append((user.public_id, label))
    return sorted(groups.items())
