"""Django's admin for large tables and careful staff: bounded counts, indexed search, no deleting, refusals as messages."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, TypeVar

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import connection, models
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from kit import transactions
from kit.errors import DomainError

_COUNTED: Final = 10_000
_MATCHES: Final = 1_000

_Row = TypeVar("_Row", bound=models.Model)


class EstimatingPaginator(Paginator[Any]):
    """Counts no more rows than a person pages through.

    A whole table of more than ten thousand rows shows PostgreSQL's own estimate; what is filtered is counted up to
    there and no further.
    """

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        if not rows.query.where and (estimate := self._estimate(rows.model)) > _COUNTED:
            return estimate
        return rows.order_by()[: _COUNTED + 1].count()

    def _estimate(self, model: type[models.Model]) -> int:
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001 - public in all but name
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
            row = cursor.fetchone()
        return int(row[0]) if row else 0


class StaffAdmin(admin.ModelAdmin[_Row]):
    """Admin pages for system admins (`is_staff`), who may do everything but delete: deleting is archiving.

    `search_fields` are whole lookups with an index (`public_id__exact`, `email__startswith`); `search_via` names
    foreign keys and the lookups of theirs that are searched first, so that no join is searched by scanning.
    """

    paginator = EstimatingPaginator
    show_full_result_count = False
    list_per_page = 50
    search_via: ClassVar[Mapping[str, Sequence[str]]] = {}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_staff(request)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return _is_staff(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_staff(request)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return _is_staff(request)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Show the search box also where only related rows are searched."""
        return (
            *self.search_fields,
            *(f"{name}__{one}" for name, lookups in self.search_via.items() for one in lookups),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[_Row], search_term: str
    ) -> tuple[QuerySet[_Row], bool]:
        """Find by own indexed fields and by those of the rows that `search_via` names."""
        term = search_term.strip().replace("\x00", "")
        if not term:
            return queryset, False
        found = _any_of(self.search_fields, term)
        for name, lookups in self.search_via.items():
            related = self.model._meta.get_field(name).related_model  # noqa: SLF001 - public in all but name
            if isinstance(related, type):
                keys = related._default_manager.filter(_any_of(lookups, term)).values_list("pk", flat=True)  # noqa: SLF001
                found |= Q(**{f"{name}__in": list(keys[:_MATCHES])})
        return queryset.filter(found), False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a domain's refusal as a message; the transaction it came from is rolled back."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def each(self, request: HttpRequest, rows: QuerySet[_Row], verb: Callable[[_Row], object]) -> None:
        """Call a verb for each chosen row, each in a transaction of its own, and tell what came of it."""
        done = 0
        for row in rows:
            try:
                with transactions.durable():
                    verb(row)
                done += 1
            except DomainError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
        if done:
            self.message_user(request, f"Done for {done}.", messages.SUCCESS)


class ReadOnlyAdmin(StaffAdmin[_Row]):
    """Pages that show books and evidence; nobody adds, changes or deletes there."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def _is_staff(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_staff", False))


def _any_of(lookups: Sequence[str], term: str) -> Q:
    found = Q()
    for lookup in lookups:
        found |= Q(**{lookup: term})
    return found
