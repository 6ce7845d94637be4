"""Prices beside traffic: the choice for what has no price is read after the lock, notes hold nobody up, imports take turns."""

import time
from threading import Thread

import pytest
from django.core.management import call_command

from credits.ledger import charging, payers, unpriced
from credits.models import Price, UnpricedUse
from credits.pricing.costs import TokensCost, Unpriced
from orgs import organizations
from orgs.audit.events import SYSTEM
from tests.concurrency.racing import in_another_session, race, wait_for_a_lock
from tests.factories import credits as make
from tests.factories import prices

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

UNKNOWN = TokensCost("unheard-of", 1, 1)


@pytest.fixture
def team():
    return make.team(100)


def choose(team, **changes):
    organizations.update(organization=team, changes=changes, by=SYSTEM)


def meanwhile(team, act):
    """Return how a charge of something unpriced ends that waits for the pool while `act` commits."""
    found = []

    def locked():
        payers.lock([("pool", make.pool(team).pk)])
        act()

    with in_another_session(locked) as commit:
        charge = make.charge(team, None, UNKNOWN)
        waiting = Thread(target=lambda: found.extend(race([lambda: charging.settle_one(charge)])))
        waiting.start()
        wait_for_a_lock()
        commit()
        waiting.join(timeout=10)
    return found[0]


def test_a_charge_that_waits_is_refused_when_the_organization_stops_charging_flat_meanwhile(team):
    with in_another_session(lambda: choose(team, unpriced="flat", unpriced_credits="2")):
        pass
    assert isinstance(meanwhile(team, lambda: choose(team, unpriced="refuse")), Unpriced)
    assert make.pool(team).available == 100


def test_a_note_that_cannot_be_written_holds_a_request_up_for_no_longer_than_a_moment(team):
    charging.settle_one(make.charge(team, None, UNKNOWN))
    lock = UnpricedUse.objects.select_for_update()
    with in_another_session(lambda: list(lock)):
        began = time.monotonic()
        assert isinstance(charging.settle_one(make.charge(team, None, UNKNOWN)), Unpriced)
        assert time.monotonic() - began < 1.5  # the session's lock_timeout would be 2 s
    assert UnpricedUse.objects.get().refused == 1


def test_many_notes_of_the_same_names_do_not_deadlock_and_none_is_lost_unsaid(team, deadlocks, caplog):
    names = [f"unheard-of-{number}" for number in range(4)]

    def batch(turn):
        order = names if turn % 2 else names[::-1]
        return lambda: charging.settle([make.charge(team, None, TokensCost(name, 1, 1)) for name in order])

    race([batch(turn) for turn in range(8)])
    assert deadlocks() == 0
    # On a busy machine one may wait longer than a moment.
    lost = sum(record.name == unpriced.__name__ for record in caplog.records)
    assert lost < 8
    assert list(UnpricedUse.objects.values_list("refused", flat=True)) == [8 - lost] * 4


def test_two_imports_at_once_make_each_price_once(tmp_path):
    found = prices.cost_map(100)
    path = str(prices.write(tmp_path / "map.json", found))
    race([lambda: call_command("import_model_prices", path) for _ in range(4)])
    rows = Price.objects.filter(valid_from__year__gt=2020)
    assert rows.count() == 100
    assert not rows.exclude(valid_until=None).exists()


def test_charges_go_on_while_an_import_holds_the_table(team, tmp_path):
    make.price("house", output_price="0.01")
    path = str(prices.write(tmp_path / "map.json", prices.cost_map(100)))

    def importing():
        from pathlib import Path

        from credits.pricing import cost_map
        from credits.pricing.importing import run

        run(prices=cost_map.read(Path(path).read_bytes()), source="map.json", digest="", by=SYSTEM)

    with in_another_session(importing):
        began = time.monotonic()
        make.settled(make.charge(team, None, TokensCost("house", 0, 10)))
        assert time.monotonic() - began < 1.5
