"""Stories under hard budgets: everybody spends from a full pool, and what is left of a budget is what there is to spend."""

from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.stateful.machine import LedgerMachine, latest, spenders
from tests.stateful.spending import Cost

_LEFT_OUT = (
    "allocate_on_terms",
    "archive",
    "batch",
    "bring_up_to_date",
    "burn",
    "capture_again",
    "come_back",
    "end_by_somebody",
    "expire",
    "forgive",
    "lower",
    "pay_fee",
    "remove",
    "repeat",
    "repeat_with_other_content",
    "revoke",
    "revoke_key",
    "set_overdraft",
    "suspend_or_resume",
    "transfer",
    "withdraw",
)
"""Rules that only make such stories rarer; the whole machine has them."""


class CeilingsMachine(LedgerMachine):
    """The same rules, under three hard budgets from the beginning."""

    @initialize(
        credits=st.sampled_from(["1000", "100"]),
        period=st.sampled_from(["day", "week", "month"]),
        scope=st.sampled_from([("member", "ann"), ("member", "bob"), ("department", "red")]),
    )
    def begin(self, credits, period, scope):
        super().begin(
            shared="without_allocation",
            calls=(None, None),
            markup=0,
            overdraft="0",
            credits=credits,
            period=None,
            lasts=None,
            pace=0,
            budget=(("organization", ""), period, Decimal(20)),
        )
        self.move("ann", "red")
        self.set_budget(scope, "week", Decimal(9), is_hard=1)
        self.set_budget(("model", "house-7"), "month", Decimal(8), is_hard=1)

    @rule(
        spends=st.lists(
            st.tuples(
                spenders,
                st.sampled_from(
                    [Cost("credits", Decimal(4)), Cost("tokens", model="house-7", tokens=(900, 800))]
                ),
                st.sampled_from([None, 60, 600]),
            ),
            min_size=2,
            max_size=5,
        ),
        seconds=st.sampled_from([60, 660, 43_200]),
        which=latest,
    )
    def some_hours(self, spends, seconds, which):
        for who, cost, ttl in spends:
            self.spend(self.fresh(who, False, cost, ttl=ttl))
        if self.books.holds:
            self.end("capture", which, Cost("credits", Decimal(5)))
        self.move_the_clock(seconds)


for _name in _LEFT_OUT:
    setattr(CeilingsMachine, _name, None)
