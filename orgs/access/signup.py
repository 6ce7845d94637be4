"""What signing up asks for besides e-mail and password. The setting ACCOUNT_SIGNUP_FORM_CLASS names it."""

from django import forms
from django.http import HttpRequest

from kit.errors import ValidationError
from orgs import names
from orgs.models import User


class SignupForm(forms.Form):
    """Asks for the name that teammates see."""

    name = forms.CharField(
        max_length=150, label="Your name", widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    field_order = ("name", "email", "password1", "password2")

    def clean_name(self) -> str:
        try:
            return names.cleaned(self.cleaned_data["name"], longest=150)
        except ValidationError as error:
            raise forms.ValidationError(str(error.details["name"])) from error

    def signup(self, request: HttpRequest, user: User) -> None:
        """Keep the name; allauth calls this once the user is saved."""
        user.name = self.cleaned_data["name"]
        user.save(update_fields=["name"])
