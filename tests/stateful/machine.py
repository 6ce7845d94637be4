"""The machine: Hypothesis tells stories of one organization, the model and the ledger live them, and are compared after every step."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count, permutations
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from credits.ledger.commands import Settled
from kit.errors import DomainError
from tests.stateful import budgeting, figures, granting, resets, sharing, spending
from tests.stateful.books import BEGINNING, SECOND, Books, Member, Refused
from tests.stateful.spending import Cost, Done, Spend
from tests.stateful.world import DEPARTMENTS, GATEWAY, PEOPLE, World

AMOUNTS = ("0.000001", "0.5", "1", "2.5", "3", "7", "12.345678", "25", "40", "100")
amounts = st.sampled_from([Decimal(one) for one in AMOUNTS])
small_costs = st.one_of(
    amounts.map(lambda amount: Cost("credits", amount)),
    st.sampled_from(["0", "0.0000001", "0.013", "0.07", "0.5"]).map(lambda one: Cost("money", Decimal(one))),
    st.tuples(st.integers(0, 5000), st.integers(0, 3000)).map(
        lambda two: Cost("tokens", model="house-7", tokens=two)
    ),
    st.sampled_from([Cost("credits"), Cost("tokens", model="mystery", tokens=(7, 7))]),
)
real_costs = st.one_of(
    small_costs,
    st.sampled_from([Cost("credits", Decimal(one)) for one in ("60", "150.25", "1200")]),
    st.just(Cost("tokens", tokens=(100, 100))),
)
people = st.sampled_from(PEOPLE)
spenders = st.sampled_from([None, *PEOPLE])
departments = st.sampled_from(DEPARTMENTS)
places = st.sampled_from(["", *DEPARTMENTS])
subjects = st.sampled_from(
    [
        ("organization", ""),
        *(("department", name) for name in DEPARTMENTS),
        *(("member", name) for name in PEOPLE),
        ("model", "house-7"),
    ]
)
BUDGETS = [
    None,
    (("organization", ""), "month", Decimal(20)),
    (("organization", ""), "day", Decimal(12)),
    (("member", "ann"), "week", Decimal(9)),
    None,
]
"""What a story may begin under."""
periods = st.sampled_from(["day", "week", "month"])
ceilings = st.sampled_from([Decimal(one) for one in ("5", "20.5", "60", "300")])
latest = st.integers(0, 7)
"""Which of the last ones: 0 is the newest."""
ttls = st.sampled_from([60, 600, 86_400])
moments = st.sampled_from([60, 600, 660, 3_600, 43_200, 86_400, 259_200, 604_800, 2_678_400])


class LedgerMachine(RuleBasedStateMachine):
    """One story. `world` is set before the first one, `steps` counts all that were taken."""

    world: ClassVar[World]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(members={name: Member() for name in PEOPLE})
        self.sent: list[Spend] = []
        self.numbers = count()
        self.pace = 0
        """Seconds that pass before every request: in some stories periods end all the time."""
        self.story = self.world.story()
        self.story.__enter__()

    def teardown(self) -> None:
        try:
            broken = self.world.prove()
        finally:
            self.story.__exit__(None, None, None)
        assert not broken, broken

    # --- comparing

    @invariant()
    def the_ledger_has_what_the_model_has(self) -> None:
        type(self).steps += 1
        expected = figures.of(self.books, holds=self.world.holds, charges=self.world.charges)
        found = self.world.figures()
        assert found == expected, _difference(expected, found)
        violations = self.world.violations()
        assert not violations, violations

    def both(self, model: Callable[[Books], Any], real: Callable[[], Any]) -> Any:
        """Do it on both sides and compare what comes of it: the same answer, or the same refusal that moves nothing."""
        expected = _lived(model, self.books)
        found = _outcome(real)
        if isinstance(found, str) or isinstance(expected, str):
            assert found == expected, f"the ledger says {found!r}, the model {expected!r}"
        return found, expected

    def answered(self, found: Any, done: Any) -> None:
        """Compare an answer with the model's, and learn the ids of what was made."""
        if isinstance(done, str):
            return
        assert isinstance(found, Settled)
        if done.hold is not None and done.hold == len(self.world.holds):
            self.world.holds.append(_id(found.hold))
        if done.charge is not None and done.charge == len(self.world.charges):
            self.world.charges.append(_id(found.charge))
        assert _said(found) == _expected(self.world, done)

    # --- the beginning

    @initialize(
        shared=st.sampled_from(["without_allocation", "never", "always"]),
        calls=st.sampled_from([(None, None), (None, None), (6, None), (None, 15), (5, 20)]),
        markup=st.sampled_from([0, 15]),
        overdraft=st.sampled_from(["0", "0", "20"]),
        credits=st.sampled_from(["100", "30", "1000", "0"]),
        period=st.sampled_from(["daily", "monthly", "weekly", None]),
        lasts=st.sampled_from([172_800, None]),
        pace=st.sampled_from([43_200, 0, 0]),
        budget=st.sampled_from(BUDGETS),
    )
    def begin(self, shared, calls, markup, overdraft, credits, period, lasts, pace, budget):
        books = self.books
        books.shared_spending, (books.daily_calls, books.monthly_calls) = shared, calls
        books.markup_percent = Decimal(markup)
        books.pools[""].overdraft = Decimal(overdraft)
        self.world.begin(
            shared=shared, day=calls[0], month=calls[1], markup=markup, overdraft=Decimal(overdraft)
        )
        if credits != "0":
            self.grant("promotion", "first", Decimal(credits), None, None)
        self.pace = pace
        if period is not None:
            self.allocate_on_terms("ann", Decimal(12), "set", period, None)
            self.allocate_on_terms("bob", Decimal(9), "set", "daily", lasts)
        if budget is not None:
            self.set_budget(*budget, is_hard=1)

    # --- spending

    @rule(member=spenders, with_key=st.booleans(), cost=small_costs, byok=st.integers(0, 9), ttl=ttls)
    def hold(self, member, with_key, cost, byok, ttl):
        self.spend(self.fresh(member, with_key, cost, byok=byok == 0, ttl=ttl))

    @rule(member=spenders, with_key=st.booleans(), cost=small_costs, byok=st.integers(0, 9))
    def charge(self, member, with_key, cost, byok):
        self.spend(self.fresh(member, with_key, cost, byok=byok == 0))

    @rule(member=spenders, cost=real_costs, ago=st.sampled_from([0, 3_600, 86_400, 604_740, 604_800]))
    def charge_after_the_fact(self, member, cost, ago):
        self.spend(self.fresh(member, False, cost, happened=ago))

    @precondition(lambda self: self.sent)
    @rule(which=latest)
    def repeat(self, which):
        self.spend(self.sent[-1 - which % len(self.sent)])

    @precondition(lambda self: self.sent)
    @rule(which=latest, cost=small_costs, member=spenders, ttl=st.sampled_from([None, 60]))
    def repeat_with_other_content(self, which, cost, member, ttl):
        earlier = self.sent[-1 - which % len(self.sent)]
        self.spend(Spend(earlier.key, member, GATEWAY, cost, ttl=ttl))

    @rule(asked=st.lists(st.tuples(spenders, amounts, st.sampled_from([None, 600])), min_size=2, max_size=3))
    def batch(self, asked):
        spends = [self.fresh(who, False, Cost("credits", cost), ttl=ttl) for who, cost, ttl in asked]
        found = [_told(one) for one in self.world.settle(*spends, offset=self.books.offset)]
        self.some_order_explains(spends, found)

    @precondition(lambda self: self.books.holds)
    @rule(which=latest, cost=real_costs)
    def capture(self, which, cost):
        self.end("capture", which, cost)

    @precondition(lambda self: self.books.holds)
    @rule(which=latest)
    def capture_what_was_held(self, which):
        place = self.place_of_hold(which)
        self.end("capture", which, Cost("credits", self.books.holds[place].credits))

    @precondition(lambda self: self.books.holds)
    @rule(which=latest, cost=real_costs, beyond=st.sampled_from([-60, 60]))
    def capture_long_after_its_end(self, which, cost, beyond):
        """A minute before and after a capture is too late."""
        too_late = self.books.holds[self.place_of_hold(which)].expires_at + spending.LATE
        self.move_the_clock(max(0, (too_late - self.books.now) // SECOND + beyond))
        self.end("capture", which, cost)

    @precondition(lambda self: any(one.captured_with for one in self.books.holds))
    @rule(which=latest)
    def capture_again(self, which):
        captured = [place for place, one in enumerate(self.books.holds) if one.captured_with]
        place = captured[-1 - which % len(captured)]
        self.end_at("capture", place, self.books.holds[place].captured_with, GATEWAY, "any")

    @precondition(lambda self: self.books.holds)
    @rule(
        which=latest,
        cost=real_costs,
        act=st.sampled_from(["capture", "release"]),
        by=st.sampled_from([GATEWAY, *PEOPLE]),
        reach=st.sampled_from(["own", "own", "organization", "elsewhere"]),
    )
    def end_by_somebody(self, which, cost, act, by, reach):
        self.end_at(act, self.place_of_hold(which), cost, by, reach)

    @precondition(lambda self: self.books.holds)
    @rule(which=latest)
    def release(self, which):
        self.end("release", which, None)

    @rule()
    def sweep(self):
        found, expected = self.both(spending.sweep, self.world.sweep)
        assert found == expected

    @rule()
    def settle_debts(self):
        self.both(lambda books: None, self.world.settle_debts)

    @precondition(lambda self: self.books.charges)
    @rule(which=latest, credits=st.one_of(st.none(), amounts))
    def reverse(self, which, credits):
        place = len(self.books.charges) - 1 - which % len(self.books.charges)
        found, expected = self.both(
            lambda books: spending.reverse(books, place, credits), lambda: self.world.reverse(place, credits)
        )
        assert isinstance(expected, str) or found.replayed == expected
        granting.learn_order(self.books, self.world.returned())

    # --- sharing out

    @rule(
        shares=st.lists(
            st.tuples(people, amounts, st.sampled_from(["set", "add"])),
            min_size=1,
            max_size=3,
            unique_by=lambda one: one[0],
        )
    )
    def allocate(self, shares):
        self.both(lambda books: sharing.allocate(books, shares), lambda: self.world.allocate(shares))

    @rule(
        who=people,
        credits=amounts,
        mode=st.sampled_from(["set", "set", "add"]),
        period=st.sampled_from([None, "never", "daily", "daily", "weekly", "monthly"]),
        lasts=st.sampled_from([None, None, None, 0, 43_200, 172_800]),
    )
    def allocate_on_terms(self, who, credits, mode, period, lasts):
        ends = lasts and self.books.offset + lasts
        expiry = {} if ends is None else {"expires_at": BEGINNING + timedelta(seconds=ends) if ends else None}
        terms = sharing.Terms(period, ends and ends * SECOND)
        self.both(
            lambda books: sharing.allocate(books, [(who, credits, mode)], terms),
            lambda: self.world.allocate([(who, credits, mode)], reset_period=period, **expiry),
        )

    @rule(act=st.sampled_from(["look", "reset_due", "expire_due"]))
    def bring_up_to_date(self, act):
        found, expected = self.both(getattr(resets, act), getattr(self.world, act))
        assert found == expected

    @rule(who=people, credits=st.sampled_from([Decimal(0), Decimal("0.25"), Decimal(5)]))
    def lower(self, who, credits):
        self.allocate([(who, credits, "set")])

    @rule(who=people, limited=st.booleans())
    def revoke(self, who, limited):
        self.both(
            lambda books: sharing.revoke(books, who, limited=limited),
            lambda: self.world.revoke(who, limited=limited),
        )

    @rule(department=departments, credits=amounts, back=st.booleans())
    def transfer(self, department, credits, back):
        if department in self.books.archived:
            return
        moved = -credits if back else credits
        self.both(
            lambda books: sharing.transfer(books, department, moved),
            lambda: self.world.transfer(department, moved),
        )

    # --- budgets

    @rule(named=subjects, period=periods, credits=ceilings, is_hard=st.integers(0, 3))
    def set_budget(self, named, period, credits, is_hard):
        terms = {"is_hard": is_hard > 0}
        self.both(
            lambda books: budgeting.create(books, *named, period, credits, **terms),
            lambda: self.world.set_budget(*named, period, credits, **terms),
        )

    @precondition(lambda self: self.books.budgets)
    @rule(which=latest, credits=ceilings, is_hard=st.booleans())
    def change_budget(self, which, credits, is_hard):
        place = which % len(self.books.budgets)
        self.both(
            lambda books: budgeting.change(books, place, credits, is_hard=is_hard),
            lambda: self.world.change_budget(place, credits, is_hard=is_hard),
        )

    @precondition(lambda self: any(one.is_hard for one in self.books.budgets))
    @rule(which=latest, member=spenders, beyond=st.booleans(), ttl=st.sampled_from([None, 60, 600]))
    def spend_to_the_edge_of_a_budget(self, which, member, beyond, ttl):
        hard = [one for one in self.books.budgets if one.is_hard]
        budget = hard[which % len(hard)]
        left = budget.credits - sum(budgeting.taken(self.books, budget, self.books.day(self.books.now)))
        cost = max(left, Decimal(0)) + (Decimal("0.000001") if beyond else Decimal(0))
        who = budget.subject if budget.scope == "member" else member
        self.spend(self.fresh(who, False, Cost("credits", cost), ttl=ttl))

    @precondition(lambda self: self.books.budgets)
    @rule(which=latest)
    def archive_budget(self, which):
        place = which % len(self.books.budgets)
        self.both(lambda books: budgeting.archive(books, place), lambda: self.world.archive_budget(place))

    # --- people

    @rule(who=people)
    def remove(self, who):
        self.both(lambda books: sharing.remove(books, who), lambda: self.world.remove(who))

    @precondition(lambda self: any(not one.is_live for one in self.books.members.values()))
    @rule(which=latest)
    def come_back(self, which):
        gone = [name for name, one in self.books.members.items() if not one.is_live]
        who = gone[which % len(gone)]
        self.both(lambda books: sharing.come_back(books, who, ""), lambda: self.world.come_back(who, ""))

    @rule(who=people, department=places)
    def move(self, who, department):
        self.both(
            lambda books: sharing.move(books, who, department), lambda: self.world.move(who, department)
        )

    @precondition(lambda self: len(self.sent) > 5)
    @rule(department=departments)
    def archive(self, department):
        self.both(lambda books: sharing.archive(books, department), lambda: self.world.archive(department))

    @rule(who=people)
    def revoke_key(self, who):
        self.books.tick()
        self.books.members[who].has_key = False
        _outcome(lambda: self.world.revoke_key(who))

    @rule()
    def suspend_or_resume(self):
        self.books.is_suspended = not self.books.is_suspended
        (self.world.suspend if self.books.is_suspended else self.world.resume)()

    # --- grants and time

    @rule(
        source=st.sampled_from(["promotion", "goodwill", "purchase"]),
        reference=st.sampled_from(["a", "b", "c", "d"]),
        credits=amounts,
        priority=st.sampled_from([None, None, 5, 70]),
        lasts=st.sampled_from([None, None, 3_600, 86_400, 2_592_000]),
    )
    def grant(self, source, reference, credits, priority, lasts):
        ends = None if lasts is None else self.books.offset + lasts
        self.both(
            lambda books: granting.grant(
                books,
                source,
                reference,
                credits,
                priority=priority,
                expires_at=None if ends is None else ends * SECOND,
            ),
            lambda: self.world.grant(
                source,
                reference,
                credits,
                priority=priority,
                expires_at=None if ends is None else BEGINNING + timedelta(seconds=ends),
            ),
        )

    @rule(again=st.integers(0, 4), cents=st.sampled_from([1000, 1000, 333]))
    def pay_fee(self, again, cents):
        period = len(self.books.fees) - (again == 0 and bool(self.books.fees))
        self.both(
            lambda books: granting.pay_fee(books, period, cents), lambda: self.world.pay_fee(period, cents)
        )

    @rule()
    def burn(self):
        self.both(granting.burn, self.world.burn)

    @rule()
    def expire(self):
        found, expected = self.both(granting.expire, self.world.expire)
        assert found == expected

    @precondition(lambda self: self.books.grants)
    @rule(
        which=latest,
        credits=st.one_of(st.none(), amounts),
        reference=st.sampled_from(["refund 1", "refund 2", "refund 3"]),
    )
    def withdraw(self, which, credits, reference):
        named = [
            key for key in self.books.grants if key[0] != "plan" and not key[1].startswith(granting.RETURNED)
        ]
        if not named:
            return
        source, granted = named[which % len(named)]
        found, expected = self.both(
            lambda books: granting.withdraw(books, source, granted, credits, reference=reference),
            lambda: self.world.withdraw(source, granted, credits, reference=reference),
        )
        assert isinstance(expected, str) or (found.withdrawn, found.owed) == expected

    @precondition(lambda self: any(one.owed for one in self.books.charges))
    @rule(which=latest)
    def forgive(self, which):
        owing = [place for place, one in enumerate(self.books.charges) if one.owed]
        place = owing[which % len(owing)]
        self.both(lambda books: spending.forgive(books, place), lambda: self.world.forgive(place))

    @rule(credits=st.sampled_from([Decimal(0), Decimal("7.5"), Decimal(50)]))
    def set_overdraft(self, credits):
        self.both(
            lambda books: spending.set_overdraft(books, credits), lambda: self.world.set_overdraft(credits)
        )

    @rule(seconds=moments)
    def move_the_clock(self, seconds):
        self.books.offset += seconds
        self.world.move_clock(self.books.offset)

    # --- doing it

    def fresh(self, member: str | None, with_key: bool, cost: Cost, **terms: Any) -> Spend:
        by = member if with_key and member is not None else GATEWAY
        return Spend(f"tx{next(self.numbers)}", member, by, cost, **terms)

    def spend(self, asked: Spend) -> None:
        if self.pace:
            self.move_the_clock(self.pace)
        self.sent.append(asked)
        found, done = self.both(
            lambda books: spending.spend(books, asked),
            lambda: self.world.settle(asked, offset=self.books.offset)[0],
        )
        self.answered(found, done)

    def some_order_explains(self, spends: list[Spend], found: list[Any]) -> None:
        """A batch is decided at once, in an order that it may choose: one must lead to these answers and these figures."""
        self.sent += spends
        tried = []
        for order in permutations(range(len(spends))):
            books = deepcopy(self.books)
            known = list(self.world.holds), list(self.world.charges)
            outcomes: dict[int, Any] = {}
            for place in order:
                outcomes[place] = _lived(partial(spending.spend, asked=spends[place]), books)
            try:
                for place in order:
                    assert isinstance(outcomes[place], str) == isinstance(found[place], str)
                    if isinstance(outcomes[place], str):
                        assert outcomes[place] == found[place]
                    self.answered(found[place], outcomes[place])
                expected = figures.of(books, holds=self.world.holds, charges=self.world.charges)
                have = self.world.figures()
                assert have == expected, _difference(expected, have)
            except AssertionError as error:
                tried.append(f"{order}: {error}")
                self.world.holds, self.world.charges = known
            else:
                self.books = books
                return
        raise AssertionError("no order explains the batch:\n" + "\n".join(tried))

    def end(self, act: str, which: int, cost: Cost | None) -> None:
        self.end_at(act, self.place_of_hold(which), cost, GATEWAY, "any")

    def end_at(self, act: str, place: int, cost: Any, by: str, reach: str) -> None:
        if act == "release":
            found, done = self.both(
                lambda books: spending.release(books, place, by=by, reach=reach),
                lambda: self.world.release(place, by=by, reach=reach),
            )
        else:
            found, done = self.both(
                lambda books: spending.capture(books, place, cost, by=by, reach=reach),
                lambda: self.world.capture(place, cost, by=by, reach=reach),
            )
        self.answered(found, done)

    def place_of_hold(self, which: int) -> int:
        return len(self.books.holds) - 1 - which % len(self.books.holds)


def _lived(act: Callable[[Books], Any], books: Books) -> Any:
    """Return what the model says: a result, or the code of its refusal."""
    try:
        return act(books)
    except Refused as refusal:
        return refusal.code


def _outcome(act: Callable[[], Any]) -> Any:
    """Return what the ledger says: a result, or the code of its refusal."""
    try:
        return _told(act())
    except DomainError as refusal:
        return refusal.code


def _told(outcome: Any) -> Any:
    return outcome.code if isinstance(outcome, DomainError) else outcome


def _said(found: Settled) -> tuple[Any, ...]:
    """Return what an answer says of ids and credits."""
    hold = found.hold.pk if found.hold is not None else None
    charge = found.charge.id if found.charge is not None else None
    payer = (found.payer.kind, found.payer.remaining) if found.payer is not None else None
    return hold, charge, payer, found.replayed


def _id(made: Any) -> UUID:
    assert made is not None
    return UUID(str(made.id))


def _expected(world: World, done: Done) -> tuple[Any, ...]:
    hold = world.holds[done.hold] if done.hold is not None else None
    charge = world.charges[done.charge] if done.charge is not None else None
    kinds = {"pool": "pool", "share": "allocation"}
    payer = (kinds[done.payer[0]], done.remaining) if done.payer is not None else None
    return hold, charge, payer, done.replayed


def _difference(expected: dict[Any, Any], found: dict[Any, Any]) -> str:
    lines = [
        f"{key}: the ledger has {found.get(key)}, the model {expected.get(key)}"
        for key in sorted({*expected, *found}, key=str)
        if expected.get(key) != found.get(key)
    ]
    return "the ledger and the model differ:\n" + "\n".join(lines)
