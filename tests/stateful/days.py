"""Stories in which days pass: few people come and go, nobody is suspended, and periods of allocations end all the time."""

from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.stateful.machine import LedgerMachine, people
from tests.stateful.spending import Cost

_LEFT_OUT = (
    "archive",
    "archive_budget",
    "batch",
    "burn",
    "capture_again",
    "change_budget",
    "charge_after_the_fact",
    "come_back",
    "end_by_somebody",
    "forgive",
    "pay_fee",
    "remove",
    "repeat",
    "repeat_with_other_content",
    "revoke_key",
    "set_budget",
    "set_overdraft",
    "spend_to_the_edge_of_a_budget",
    "suspend_or_resume",
    "withdraw",
)
"""Rules that only make such stories rarer; the whole machine has them."""


class DaysMachine(LedgerMachine):
    """The same rules, with a pool that may run short and half a day or a day before every request."""

    @initialize(
        shared=st.sampled_from(["never", "without_allocation", "always"]),
        credits=st.sampled_from(["22", "60"]),
        period=st.sampled_from(["daily", "weekly", "monthly"]),
        lasts=st.sampled_from([None, 172_800]),
        pace=st.sampled_from([43_200, 86_400, 28_800]),
    )
    def begin(self, shared, credits, period, lasts, pace):
        super().begin(
            shared=shared,
            calls=(None, None),
            markup=0,
            overdraft="0",
            credits=credits,
            period=period,
            lasts=lasts,
            pace=pace,
            budget=None,
        )

    @rule(
        spends=st.lists(
            st.tuples(people, st.sampled_from(["3", "0.5", "7"]), st.sampled_from([None, None, 86_400])),
            min_size=3,
            max_size=8,
        )
    )
    def some_days(self, spends):
        for who, credits, ttl in spends:
            self.spend(self.fresh(who, False, Cost("credits", Decimal(credits)), ttl=ttl))


for _name in _LEFT_OUT:
    setattr(DaysMachine, _name, None)
