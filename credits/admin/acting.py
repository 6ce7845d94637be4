"""Acts of staff that need a reason: chosen in a list, asked for on a page of their own, done through a verb each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from kit.admin import ReadOnlyAdmin

_Row = TypeVar("_Row", bound=Model)


class ReasonForm(forms.Form):
    """Why; kept with what was done and in the audit log."""

    reason = forms.CharField(max_length=500, help_text="Kept with it, and in the audit log.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: the action's name, how its page reads, what it asks for."""

    action: str
    title: str
    explanation: str
    button: str
    form: type[forms.Form] = ReasonForm
    initial: dict[str, Any] = field(default_factory=dict)


class ActingAdmin(ReadOnlyAdmin[_Row]):
    """A page of books with acts: nothing is changed by a field, only by an act with its reason."""

    def ask_and_do(
        self,
        request: HttpRequest,
        act: Act,
        rows: QuerySet[_Row],
        verb: Callable[[_Row, dict[str, Any]], object],
        *,
        names: Callable[[_Row], str] = str,
    ) -> HttpResponse:
        """Show the act's form, or, once it is filled in, call the verb for each row in a transaction of its own."""
        form = act.form(request.POST) if "apply" in request.POST else act.form(initial=act.initial)
        if not form.is_bound or not form.is_valid():
            return self._ask(request, act, form, [(row.pk, names(row)) for row in rows])
        self.each(request, rows, lambda row: verb(row, form.cleaned_data))
        return HttpResponseRedirect(request.get_full_path())

    def _ask(
        self, request: HttpRequest, act: Act, form: forms.Form, rows: Iterable[tuple[Any, str]]
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": act.title,
            "act": act,
            "form": form,
            "rows": rows,
            "opts": self.model._meta,  # noqa: SLF001 - what admin templates ask for
        }
        status = 422 if form.is_bound else 200
        return TemplateResponse(request, "admin/credits/act.html", context, status=status)
