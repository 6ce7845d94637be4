"""The forms of departments. A form is shown with what it may choose from, and reads only what is among that."""

from collections.abc import Iterable
from typing import Any, Final

from django import forms

from credits.views.fields import CreditsInput
from orgs.models import Membership

MOST_CHOICES: Final = 200
"""Members that one list offers; beyond that the page asks for a part of the name first."""


class NameForm(forms.Form):
    """What a department is called."""

    name = forms.CharField(
        label="Name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class AmountForm(forms.Form):
    """How many credits to move."""

    credits = CreditsInput(label="Credits")

    def clean_credits(self) -> Any:
        """Refuse nothing at all."""
        if not self.cleaned_data["credits"]:
            raise forms.ValidationError("Moving 0 changes nothing.")
        return self.cleaned_data["credits"]


class ConfirmForm(forms.Form):
    """An act that needs no more than to be meant."""


class PeopleForm(forms.Form):
    """Whom of the offered members."""

    def __init__(self, *args: Any, people: Iterable[Membership] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = {one.user.public_id: one for one in people}


class MemberForm(PeopleForm):
    """One member; which of those that are offered."""

    member = forms.CharField(label="Member", widget=forms.Select)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        select = self.fields["member"].widget
        if isinstance(select, forms.Select):
            select.choices = [("", "Choose a member"), *_choices(self.people)]

    def clean_member(self) -> Membership:
        """Return the membership of who was chosen."""
        found = self.people.get(str(self.cleaned_data["member"]))
        if found is None:
            raise forms.ValidationError("Choose a member from the list.")
        return found


class MembersForm(PeopleForm):
    """Some members."""

    members = forms.MultipleChoiceField(
        label="Members",
        widget=forms.CheckboxSelectMultiple(attrs={"class": "checks"}),
        error_messages={"required": "Choose at least one member."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["members"]
        if isinstance(field, forms.MultipleChoiceField):
            field.choices = _choices(self.people)

    def clean_members(self) -> list[Membership]:
        """Return the memberships of who was chosen."""
        return [self.people[public_id] for public_id in self.cleaned_data["members"]]


def _choices(people: dict[str, Membership]) -> list[tuple[str, str]]:
    return [(public_id, _label(one)) for public_id, one in people.items()]


def _label(one: Membership) -> str:
    where = f", now in {one.department.name}" if one.department is not None else ""
    return f"{one.user.name} ({one.user.email}{where})" if one.user.email else f"{one.user.name}{where}"
