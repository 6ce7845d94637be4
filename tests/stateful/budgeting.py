"""Budgets, in the model (product.md §9): counted anew from every use and hold there is, whenever somebody asks."""

from datetime import date, timedelta
from decimal import Decimal

from tests.stateful.books import ZERO, Books, Budget, By, Refused


def create(books: Books, scope: str, subject: str, period: str, credits: Decimal, *, is_hard: bool) -> None:
    """Set a budget on everybody, a department, a member or a model."""
    books.tick()
    if scope == "department" and subject in books.archived:
        raise Refused("not_found")
    if scope == "member" and not books.members[subject].is_live:
        raise Refused("not_found")
    made = Budget(scope, subject, period, credits, is_hard, _since(books, period))
    _refuse_twin(books, made)
    books.budgets.append(made)


def change(books: Books, place: int, credits: Decimal, *, is_hard: bool) -> None:
    """Set another ceiling; one that hardens begins to count anew."""
    books.tick()
    budget = books.budgets[place]
    if budget.is_hard != is_hard:
        twin = Budget(budget.scope, budget.subject, budget.period, credits, is_hard, budget.since)
        _refuse_twin(books, twin)
        if is_hard:
            budget.since = _since(books, budget.period)
    budget.credits, budget.is_hard = credits, is_hard


def archive(books: Books, place: int) -> None:
    """Take one back."""
    books.tick()
    del books.budgets[place]


def refuse(books: Books, by: By, credits: Decimal) -> None:
    """Raise where a hard budget has less left than is needed, with the holds that count in the one that has least."""
    today = books.day(books.now)
    bites = [one for one in books.budgets if one.is_hard and today >= one.since and _counts(one, by)]
    if not bites:
        return
    least = min(bites, key=lambda one: one.credits - sum(taken(books, one, today)))
    if least.credits - sum(taken(books, least, today)) >= credits:
        return
    start = _first(today, least.period)
    places = [
        place
        for place, hold in enumerate(books.holds)
        if hold.credits and _counts(least, hold.whose) and _first(hold.day, least.period) == start
    ]
    raise Refused("budget_exceeded", places=places)


def taken(books: Books, budget: Budget, day: date) -> tuple[Decimal, Decimal]:
    """Return what the period of a day has used and holds of a budget."""
    start = _first(day, budget.period)
    used = [
        one.credits
        for one in books.uses
        if _counts(budget, one.by) and _first(one.day, budget.period) == start
    ]
    held = [
        one.credits
        for one in books.holds
        if one.status == "active" and _counts(budget, one.whose) and _first(one.day, budget.period) == start
    ]
    return sum(used, ZERO), sum(held, ZERO)


def periods(books: Books, budget: Budget) -> set[date]:
    """Return the first days of the periods that a hard budget has counted, or may have."""
    days = {one.day for one in books.uses} | {one.day for one in books.holds}
    return {_first(day, budget.period) for day in days if day >= budget.since}


def _counts(budget: Budget, by: By) -> bool:
    if budget.scope == "organization":
        return True
    return {"department": by.department, "member": by.member, "model": by.model}[
        budget.scope
    ] == budget.subject


def _since(books: Books, period: str) -> date:
    """Return the first day that one set now counts: no change of time zone leads further back than two days."""
    return _first(books.day(books.now) - timedelta(days=2), period)


def _first(day: date, period: str) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _refuse_twin(books: Books, made: Budget) -> None:
    if made.key in [one.key for one in books.budgets]:
        raise Refused("already_exists")
