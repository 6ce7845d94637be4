"""Bugs of money code, each a small edit, and the test that must turn red for it.

An edit names the text that it replaces; where that text is gone the run fails, so that no mutant is lost unseen.
"""

from dataclasses import dataclass
from typing import Final

_OVERSPENDING: Final = "tests/concurrency/test_overspending.py::"
_WAITING: Final = "tests/concurrency/test_waiting_requests.py::"
_UNKNOWN: Final = "tests/concurrency/test_unknown_outcomes.py::"
_ORDER: Final = "tests/concurrency/test_lock_order.py::"
_CHARGING: Final = "tests/credits/ledger/test_charging.py::"
_HOLDS: Final = "tests/credits/ledger/test_holds.py::"
_PAYERS: Final = "tests/credits/ledger/test_payers.py::"
_REVERSALS: Final = "tests/credits/ledger/test_reversals.py::"
_SHARING: Final = "tests/credits/sharing/test_allocations.py::"
_QUOTAS: Final = "tests/credits/limits/test_quotas.py::"
_BUDGETS: Final = "tests/credits/limits/test_budgets.py::"
_RESETS: Final = "tests/credits/sharing/test_resets.py::"
_ENDINGS: Final = "tests/credits/sharing/test_expiries.py::"
_PERIODS: Final = "tests/credits/sharing/test_periods.py::"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug. `edits` are pairs of what stands there and what shall; `in_database` says that migrations make it."""

    name: str
    file: str
    test: str
    edits: tuple[tuple[str, str], ...]
    in_database: bool = False


MUTANTS: Final = (
    Mutant(
        "drop the lock on pools",
        "credits/ledger/payers.py",
        _OVERSPENDING + "test_a_hundred_workers_on_one_pool_never_spend_more_than_it_has",
        (
            (
                'CreditPool.objects.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)',
                "CreditPool.objects",
            ),
        ),
    ),
    Mutant(
        "drop the lock on allocations",
        "credits/ledger/payers.py",
        _OVERSPENDING + "test_a_hundred_workers_on_one_allocation_never_spend_more_than_it_has",
        (
            (
                'Allocation.objects.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)',
                "Allocation.objects",
            ),
        ),
    ),
    Mutant(
        "swap the order of pools",
        "credits/ledger/payers.py",
        _ORDER + "test_pools_are_locked_organization_first_then_by_key",
        (
            (
                'F("department_id").asc(nulls_first=True), "pk"',
                'F("department_id").desc(nulls_last=True), "-pk"',
            ),
        ),
    ),
    Mutant(
        "drop the check of what is there",
        "credits/ledger/spending.py",
        _PAYERS + "TestAllocation::test_refuses_more_than_it_has_and_moves_nothing",
        (("if payers.free(row) >= needed or happened:", "if row is not None:"),),
    ),
    Mutant(
        "trust what was read before the lock",
        "credits/ledger/rounds.py",
        _WAITING + "TestARequestThatWaits::test_is_refused_when_its_member_is_removed_meanwhile",
        (
            ("        self.standings = standing.read(asked)\n", ""),
            (
                "        self.locked = payers.lock(",
                "        self.standings = standing.read(asked)\n        self.locked = payers.lock(",
            ),
        ),
    ),
    Mutant(
        "count the refused",
        "credits/ledger/spending.py",
        _CHARGING + "TestBatch::test_admits_first_fit_in_arrival_order",
        (
            (
                "if payers.free(row) >= needed or happened:",
                'if payers.free(row) - getattr(row, "refused", ZERO) >= needed or happened:',
            ),
            (
                "    refusal.tried = candidates\n",
                '    refusal.tried = candidates\n    setattr(row, "refused", needed)\n',
            ),
        ),
    ),
    Mutant(
        "skip the transaction key",
        "credits/ledger/keys.py",
        _CHARGING + "TestRepeat::test_answers_with_the_first_charge_and_takes_nothing",
        (
            (
                "    return set(statements.rows(_CLAIM, json.dumps(rows))) if rows else set()",
                "    return {spend.key for spend, _ in spends}",
            ),
        ),
    ),
    Mutant(
        "ignore the content of a repeat",
        "credits/ledger/replays.py",
        _CHARGING + "TestRepeat::test_with_other_content_is_refused_and_moves_nothing",
        (("if key.kind != kind or key.content != command.content():", "if key.kind != kind:"),),
    ),
    Mutant(
        "leave the member out of the content",
        "credits/ledger/commands.py",
        _CHARGING + "TestRepeat::test_with_another_member_or_model_is_refused",
        (("return digest(user and user.hex, self.service,", "return digest(None, self.service,"),),
    ),
    Mutant(
        "remember the key of a refusal",
        "credits/ledger/rounds.py",
        _CHARGING + "TestRepeat::test_of_a_refused_request_may_succeed_later",
        (("isinstance(c, (PlaceHold, MakeCharge)) and c.key in claimed]", "isinstance(c, ())]"),),
    ),
    Mutant(
        "call a failed commit a refusal",
        "credits/ledger/charging.py",
        _UNKNOWN + "test_a_commit_that_fails_is_unknown_and_a_keyed_retry_has_one_effect",
        (("if committing or (", "if ("),),
    ),
    Mutant(
        "skip the membership after the lock",
        "credits/ledger/standing.py",
        _WAITING + "TestARequestThatWaits::test_is_refused_when_its_member_is_removed_meanwhile",
        (("self.membership_ended_at is not None or not self.user_is_active", "not self.user_is_active"),),
    ),
    Mutant(
        "skip the key's revocation",
        "credits/ledger/standing.py",
        _WAITING + "TestARequestThatWaits::test_is_refused_when_its_key_is_revoked_meanwhile",
        (
            (
                "self.key_id is None or self.key_revoked_at is not None or expired",
                "self.key_id is None or expired",
            ),
        ),
    ),
    Mutant(
        "let the suspended spend",
        "credits/ledger/standing.py",
        _CHARGING + "TestRefusal::test_of_a_suspended_organization",
        (('if self.status == "suspended":', 'if self.status == "sleeping":'),),
    ),
    Mutant(
        "let a closed allocation open the pool",
        "credits/ledger/standing.py",
        _PAYERS + "TestAllocation::test_when_revoked_is_a_limit_of_nothing_in_every_mode",
        (
            (
                "limited = self.allocation_id is not None and self.allocation_is_limited",
                "limited = self.allocation_id is not None and self.allocation_is_limited and self.allocation_closed_at is None",
            ),
        ),
    ),
    Mutant(
        "let the department's members reach the organization's pool",
        "credits/ledger/standing.py",
        _PAYERS + "TestWithoutAllocation::test_a_member_of_a_funded_department_is_limited_to_its_pool",
        (("return own if limited else pools[:1]", "return own if limited else pools"),),
    ),
    Mutant(
        "ignore the limit of shortfalls",
        "credits/ledger/spending.py",
        _CHARGING + "TestShortfall::test_above_the_limit_refuses_new_holds_and_charges",
        (("if stands.shortfall_open > settings.SHORTFALL_LIMIT:", "if stands.shortfall_open < 0:"),),
    ),
    Mutant(
        "let holds use the overdraft",
        "credits/ledger/payers.py",
        "tests/credits/ledger/test_overdrafts.py::test_a_hold_or_charge_never_uses_the_overdraft",
        (
            (
                "return row.available if isinstance(row, CreditPool) else row.remaining",
                "return row.available + row.overdraft_limit if isinstance(row, CreditPool) else row.remaining",
            ),
        ),
    ),
    Mutant(
        "forget what a hold returns",
        "credits/ledger/payers.py",
        _HOLDS + "TestRelease::test_returns_all_that_was_held",
        (("    row.held -= credits\n    _add_free(row, credits)", "    row.held -= credits"),),
    ),
    Mutant(
        "capture another time with other figures",
        "credits/ledger/holding.py",
        _HOLDS + "TestCapture::test_with_other_figures_is_refused_and_moves_nothing",
        (("if hold.captured_content != command.content():", 'if hold.captured_content == "":'),),
    ),
    Mutant(
        "release what was captured",
        "credits/ledger/holding.py",
        _HOLDS + "TestRelease::test_of_a_captured_hold_is_refused",
        (
            (
                "elif hold.status == Hold.Status.CAPTURED or hold.captured_content:",
                'elif hold.status == "over":',
            ),
        ),
    ),
    Mutant(
        "let a late capture keep the hold",
        "credits/ledger/holding.py",
        _HOLDS + "TestLateCapture::test_takes_like_an_overage_and_the_hold_stays_expired",
        (
            (
                "late = hold.expires_at <= stands.clock or hold.status == Hold.Status.EXPIRED",
                "late = hold.status == Hold.Status.EXPIRED",
            ),
        ),
    ),
    Mutant(
        "capture for ever",
        "credits/ledger/holding.py",
        _HOLDS + "TestLateCapture::test_later_than_seven_days_is_refused",
        (("if stands.clock - hold.expires_at > LATE_CAPTURE:", "if stands.clock < hold.created_at:"),),
    ),
    Mutant(
        "expire before the time",
        "credits/ledger/holding.py",
        _HOLDS + "TestExpiry::test_leaves_a_hold_whose_time_is_not_over",
        (
            (
                "if hold.status == Hold.Status.ACTIVE and hold.expires_at <= stands.clock:",
                "if hold.status == Hold.Status.ACTIVE:",
            ),
        ),
    ),
    Mutant(
        "let overdue holds keep credits from others",
        "credits/ledger/charging.py",
        _HOLDS + "TestAnOverdueHold::test_keeps_no_credits_from_the_next_request",
        (
            (
                "    return [end for payer in refusal.tried for end in overdue.of_payer(payer)]",
                "    return []",
            ),
        ),
    ),
    Mutant(
        "let strangers end a hold",
        "credits/ledger/holding.py",
        _HOLDS + "TestWhoMayEndIt::test_another_key_does_not_know_it",
        (
            (
                "if command.reach == Reach.OWN and command.spender.made_by != hold.placed_by:",
                'if command.spender.made_by == "":',
            ),
        ),
    ),
    Mutant(
        "settle a shortfall for ever",
        "credits/ledger/shortfalls.py",
        _CHARGING + "TestShortfall::test_is_charged_by_the_next_grant_before_anybody_spends_it",
        (("shortfall.settled += taken", "shortfall.settled += ZERO"),),
    ),
    Mutant(
        "leave shortfalls open",
        "credits/ledger/grants.py",
        _CHARGING + "TestShortfall::test_is_charged_by_the_next_grant_before_anybody_spends_it",
        (
            (
                "    settled = shortfalls.settle(locked, organizations={organization.pk})",
                "    settled: list[Usage] = []",
            ),
        ),
    ),
    Mutant(
        "leave shortfalls open when shares come back",
        "credits/ledger/corrections.py",
        "tests/credits/sharing/test_allocations.py::TestRevoke::test_settles_what_the_organization_owes",
        (
            (
                "    record(locked, shortfalls.settle(locked, organizations={organization.pk}))",
                "    payers.write(locked)",
            ),
        ),
    ),
    Mutant(
        "reverse twice",
        "credits/ledger/reversals.py",
        _REVERSALS + "TestReversal::test_again_with_the_same_figures_answers_the_first",
        (("    if earlier is not None:\n", "    if earlier is not None and earlier.credits < 0:\n"),),
    ),
    Mutant(
        "give back more than it cost",
        "credits/ledger/reversals.py",
        _REVERSALS + "TestReversal::test_of_more_than_it_cost_or_of_nothing_is_refused",
        (("not ZERO < amount <= most:", "not ZERO < amount:"),),
    ),
    Mutant(
        "give back to a closed allocation",
        "credits/ledger/reversals.py",
        _REVERSALS + "TestWhereItReturns::test_to_the_pool_of_a_closed_allocation",
        (("elif row.closed_at is None and charge.created_at >= row.opened_at:", "elif row is not None:"),),
    ),
    Mutant(
        "round down",
        "credits/amounts.py",
        "tests/credits/pricing/test_costs.py::TestCharge::test_rounds_up_so_that_nothing_is_free",
        (
            (
                "amount.quantize(STEP, rounding=ROUND_CEILING, context=_EXACT)",
                'amount.quantize(STEP, rounding="ROUND_FLOOR", context=_EXACT)',
            ),
        ),
    ),
    Mutant(
        "count a refusal against the quota",
        "credits/ledger/spending.py",
        _QUOTAS + "TestQuota::test_is_not_counted_by_a_refusal",
        (
            ("    counted = _count(book, stands, day_of(command, stands), happened=happened)\n", ""),
            (
                "    payer = None\n    if priced.credits:\n",
                "    counted = _count(book, stands, day_of(command, stands), happened=happened)\n    payer = None\n    if priced.credits:\n",
            ),
        ),
    ),
    Mutant(
        "allow one call more",
        "credits/limits/quotas.py",
        _QUOTAS + "TestQuota::test_refuses_the_call_after_the_last",
        (("if self.used[row] >= limit and not beyond:", "if self.used[row] > limit and not beyond:"),),
    ),
    Mutant(
        "keep the call of a released hold",
        "credits/limits/quotas.py",
        _QUOTAS + "TestGivingBack::test_by_a_release",
        (("self.used[row] -= 1", "self.used[row] -= 0"),),
    ),
    Mutant(
        "allocate what the pool has not",
        "credits/sharing/allocations.py",
        _SHARING + "TestSet::test_gives_all_that_the_pool_has_and_not_more",
        (("if difference > ZERO and difference > pool.available:", "if difference > 1_000_000:"),),
    ),
    Mutant(
        "lower an allocation below what is used",
        "credits/sharing/allocations.py",
        _SHARING + "TestSet::test_lowers_to_what_is_used_and_held_and_not_below",
        (("if -difference > allocation.remaining:", "if -difference > 1_000_000:"),),
    ),
    Mutant(
        "take from a department what it has not",
        "credits/sharing/transfers.py",
        _SHARING + "TestDepartments::test_credits_taken_back_from_a_department_are_what_it_has_unspent",
        (("if source.available < abs(credits):", "if source.available < -1_000_000:"),),
    ),
    Mutant(
        "let a leaver keep the allocation",
        "credits/receivers.py",
        _SHARING + "TestDepartments::test_removing_a_member_returns_what_is_unspent",
        (
            (
                '    signals.membership_ended.connect(_return_of_leaver, dispatch_uid="credits.membership_ended")\n',
                "",
            ),
        ),
    ),
    Mutant(
        "burn the last grants first",
        "credits/ledger/burndown.py",
        "tests/credits/ledger/test_burndown.py::TestBurning::test_uses_presents_before_what_was_paid_for",
        (("return grant.priority, ends is None, ends or", "return -grant.priority, ends is None, ends or"),),
    ),
    Mutant(
        "expire what holds keep",
        "credits/ledger/burndown.py",
        "tests/credits/ledger/test_expiries_leave.py::test_credits_in_holds_stay_also_where_the_pool_has_others",
        (("one.left - in_holds.get(one.pk, ZERO)", "one.left"),),
    ),
    Mutant(
        "expire before its time",
        "credits/ledger/expiries.py",
        "tests/credits/ledger/test_expiries_leave.py::test_a_grant_whose_time_has_not_come_stays_beside_one_that_is_over",
        (
            (
                "if one.expires_at is not None and one.expires_at <= at and free[one.pk]",
                "if one.expires_at is not None and free[one.pk]",
            ),
        ),
    ),
    Mutant(
        "expire from the smallest first",
        "credits/ledger/takings.py",
        "tests/credits/ledger/test_expiries.py::TestAGrantThatIsOver::test_takes_the_pool_first_and_then_the_largest_and_leaves_the_others_whole",
        (("return -payers.free(row), payers.ref_of(row)", "return payers.free(row), payers.ref_of(row)"),),
    ),
    Mutant(
        "grant a reference twice",
        "credits/ledger/grants.py",
        "tests/credits/ledger/test_grants.py::TestGrant::test_again_with_the_same_terms_answers_with_the_first_and_moves_nothing",
        (("    if earlier is not None:\n        return earlier\n", ""),),
    ),
    Mutant(
        "withdraw a reference twice",
        "credits/ledger/withdrawals.py",
        "tests/credits/ledger/test_withdrawals.py::test_again_answers_with_the_first_and_moves_nothing",
        (
            (
                "    if earlier is not None:\n        return _same(",
                "    if earlier is not None and earlier.credits < 0:\n        return _same(",
            ),
        ),
    ),
    Mutant(
        "give back to a grant that is over",
        "credits/ledger/burndown.py",
        "tests/credits/ledger/test_burndown.py::TestAReversal::test_after_its_grant_expired_comes_back_as_goodwill_of_thirty_days",
        (
            (
                "return balance.expires_at is not None and balance.expires_at <= now",
                "return balance.expires_at is not None and balance.expires_at < balance.grant.created_at",
            ),
        ),
    ),
    Mutant(
        "give back what staff forgave",
        "credits/ledger/reversals.py",
        "tests/credits/ledger/test_forgiveness.py::TestAReversalAfterIt::test_of_what_was_forgiven_is_refused",
        (("most = charge.cost - forgiveness.of_charge(charge_id=charge.pk)", "most = charge.cost"),),
    ),
    Mutant(
        "reset from the bound before instead of the anchor",
        "credits/sharing/periods.py",
        _PERIODS + "test_a_month_begins_on_the_anchors_day_or_on_its_last",
        (("min(anchor.day, monthrange(year, month + 1)[1])", "min(anchor.day, 28)"),),
    ),
    Mutant(
        "begin a day an hour late where midnight is skipped",
        "credits/sharing/periods.py",
        _PERIODS + "test_a_day_is_as_long_as_the_clocks_there_make_it",
        (("        early, late = (early, middle) if", "        early, late = (middle, late) if"),),
    ),
    Mutant(
        "top up by the whole amount",
        "credits/sharing/resets.py",
        _RESETS + "TestAnAmount::test_keeps_what_is_held_within_it",
        (("missing = row.amount - row.remaining - row.held", "missing = row.amount - row.remaining"),),
    ),
    Mutant(
        "keep what lies above the amount",
        "credits/sharing/resets.py",
        _RESETS + "TestAnAmount::test_that_has_grown_beyond_it_returns_to_the_pool",
        (("returned=min(max(-missing, ZERO), row.remaining)", "returned=ZERO * row.remaining"),),
    ),
    Mutant(
        "overdraw a short pool by a reset",
        "credits/sharing/resets.py",
        _RESETS + "TestAShortPool",
        (
            (
                "topped_up = min(max(missing, ZERO), max(pool.available, ZERO))",
                "topped_up = max(missing, ZERO)",
            ),
        ),
    ),
    Mutant(
        "serve a short pool from the last",
        "credits/sharing/resets.py",
        _RESETS + "TestAShortPool::test_serves_in_order_of_key_and_says_what_is_missing",
        (
            (
                "for row in sorted(due, key=lambda row: row.pk):",
                "for row in sorted(due, key=lambda row: -row.pk):",
            ),
        ),
    ),
    Mutant(
        "reset once for each date that was missed",
        "credits/sharing/resets.py",
        _RESETS + "TestADateThatWasMissed",
        (
            (
                "start, end = periods.following(row.anchored_on, row.reset_period, zone, now)",
                "start, end = periods.following(row.anchored_on, row.reset_period, zone, row.resets_at)",
            ),
        ),
    ),
    Mutant(
        "begin a period before the one that ended has",
        "credits/sharing/resets.py",
        _RESETS + "TestTerms::test_outlive_a_change_of_the_time_zone",
        (("due_at=max(row.resets_at, start)", "due_at=start"),),
    ),
    Mutant(
        "spend of a period that is over",
        "credits/ledger/rounds.py",
        _RESETS + "TestASpend",
        (("            attempt.behind = self._behind(command, stands)\n", ""),),
    ),
    Mutant(
        "date a charge before its period",
        "credits/ledger/payers.py",
        _RESETS + "TestASpend::test_whose_clock_stepped_back_behind_the_reset_still_counts_in_its_period",
        (
            (
                "    return max(clock, row.opened_at) if isinstance(row, Allocation) else clock\n",
                "    return clock\n",
            ),
        ),
    ),
    Mutant(
        "lower before the reset that is due",
        "credits/sharing/allocations.py",
        _RESETS + "TestSharingOutWhileAResetIsDue",
        (
            (
                "    restored = resets.run_locked(locked, now=now)\n",
                "    restored = resets.run_locked(Locked(), now=now)\n",
            ),
        ),
    ),
    Mutant(
        "reset without the lock on allocations",
        "credits/sharing/resets.py",
        "tests/concurrency/test_resets.py::test_a_reset_waits_for_a_request_that_was_decided_before_the_date_and_counts_it",
        (
            (
                "    locked.rows |= payers.lock(due_refs([pool_id], at=statements.clock())).rows\n",
                '    locked.rows |= {("allocation", row.pk): row for row in Allocation.objects.filter(pool_id=pool_id)}\n',
            ),
        ),
    ),
    Mutant(
        "spend of what has expired until the job comes by",
        "credits/ledger/standing.py",
        _ENDINGS + "test_before_the_job_came_by_it_is_a_limit_of_nothing_in_every_mode",
        (
            (
                "return self.allocation_closed_at is not None or self._has_expired",
                "return self.allocation_closed_at is not None",
            ),
        ),
    ),
    Mutant(
        "capture from what has expired until the job comes by",
        "credits/ledger/standing.py",
        _ENDINGS + "test_a_hold_of_it_runs_to_its_end_and_takes_no_more_than_it_held",
        (
            (
                "behind = ends_hold if self._has_expired else resets",
                "behind = False if self._has_expired else resets",
            ),
        ),
    ),
    Mutant(
        "restore what has expired",
        "credits/sharing/resets.py",
        _ENDINGS + "test_one_that_expired_and_is_due_ends_and_does_not_reset",
        (("filter(lives, pool_id__in=", "filter(pool_id__in="),),
    ),
    Mutant(
        "let resets be changed",
        "credits/migrations/sql/resets.sql",
        _RESETS + "TestEvidence::test_is_never_changed",
        (("SELECT portal_make_append_only(ARRAY['credits_allocationreset']);", "SELECT 1;"),),
        in_database=True,
    ),
    Mutant(
        "let the last request go beyond a budget",
        "credits/limits/ceilings.py",
        _BUDGETS + "TestHard::test_lets_through_to_the_last_credit_and_refuses_what_goes_beyond",
        (("starts_on is None or least >= needed:", "starts_on is None or least > -needed:"),),
    ),
    Mutant(
        "reserve nothing of a budget for holds",
        "credits/ledger/spending.py",
        _BUDGETS + "TestHard::test_lets_through_to_the_last_credit_and_refuses_what_goes_beyond",
        (("    book.capped.hold(ceilings.of(stands), hold, hold.credits)\n", ""),),
    ),
    Mutant(
        "leave ended holds in a budget",
        "credits/ledger/holding.py",
        _BUDGETS + "TestHard::test_holds_leave_it_when_they_end",
        (("    book.capped.hold(ceilings.of(stands), hold, -hold.credits)\n", ""),),
    ),
    Mutant(
        "keep corrections from a budget",
        "credits/ledger/books.py",
        _BUDGETS + "TestHard::test_gets_back_what_a_reversal_gives_back",
        (("        ceilings.count(records)\n", "        pass\n"),),
    ),
    Mutant(
        "begin a hard budget without waiting for spends in flight",
        "credits/limits/beginnings.py",
        "tests/concurrency/test_budgets.py::test_one_that_is_made_waits_for_spends_in_flight_and_counts_them",
        (("        payers.lock([(kind, key) for key in keys])\n", "        list(keys)\n"),),
    ),
    Mutant(
        "set the overdraft below what is used",
        "credits/ledger/pools.py",
        "tests/credits/ledger/test_pools.py",
        (("    if pool.available < -credits:\n", "    if pool.available < -credits - 1_000_000:\n"),),
    ),
    Mutant(
        "let usage records be changed",
        "credits/migrations/sql/append_only.sql",
        "tests/credits/test_constraints.py::TestBooks::test_refuse_update_and_delete",
        (("'credits_usagerecord', ", ""),),
        in_database=True,
    ),
    Mutant(
        "let a hold end twice in the database",
        "credits/migrations/sql/holds_end_once.sql",
        "tests/credits/test_constraints.py::TestAnEndedHold::test_ends_no_second_time",
        (("IF OLD.status <> 'active' AND", "IF OLD.status = 'over' AND"),),
        in_database=True,
    ),
)
