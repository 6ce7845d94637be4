"""Whatever dies at any boundary of a change of plan: never without a plan, one live subscription, the change made once."""

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.concurrency

ACTS = "tests.faults.changing_plans"
MOST = 40
"""More boundaries than any change has."""

UPGRADE = ("starter", "professional")
DOWNGRADE = ("professional", "starter")
CANCEL = ("starter", "")


@pytest.mark.parametrize(
    ("plan", "to", "step"),
    [
        pytest.param(*UPGRADE, 5, id="upgrade, every fifth"),
        pytest.param(*UPGRADE, 1, id="upgrade", marks=pytest.mark.slow),
        pytest.param(*DOWNGRADE, 1, id="downgrade", marks=pytest.mark.slow),
        pytest.param(*CANCEL, 1, id="cancel", marks=pytest.mark.slow),
    ],
)
def test_a_change_is_made_once_whatever_boundary_its_process_dies_at(stage, lago, plan, to, step):
    stage.settings = {"LAGO_API_URL": lago.url}
    died = {}
    for at, organization in zip(
        range(3, MOST, step), stage.do(f"{ACTS}:begin", count=-(-(MOST - 3) // step), plan=plan), strict=True
    ):
        life = stage.live(f"{ACTS}:change", organization=organization, to=to, now=later(0), at=at)
        if len(life.boundaries) < at:
            assert life.answer == "applied"
            break
        where = f"{at}: {life.boundaries[at - 1]}"
        assert life.died, where
        assert len(active_at(lago, organization)) == 1, where
        [books] = stage.do(f"{ACTS}:look", organizations=[organization])
        assert (books["plan"] in {plan, to}, books["live"]) == (True, 1), (where, books)
        died[where] = organization
    else:
        raise AssertionError("there are more boundaries than organizations")
    assert len(died) >= 3
    while stage.do(f"{ACTS}:carry_on", now=later(6)):
        pass  # a run begins no further change after three seconds
    for where, organization in died.items():
        [books] = stage.do(f"{ACTS}:look", organizations=[organization])
        if books["changes"] == []:  # it died before it was recorded: who asked sends it again
            assert stage.live(f"{ACTS}:change", organization=organization, to=to, now=later(0)).answer == "applied"  # fmt: skip
            [books] = stage.do(f"{ACTS}:look", organizations=[organization])
        assert books["changes"] == ["applied"], (where, books)
        [live] = active_at(lago, organization)
        shows = {
            "professional": live["plan_code"],
            "starter": live["next_plan_code"],
            "": live["ending_at"] and "",
        }
        assert shows[to] == to, (where, live)


def later(minutes):
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def active_at(lago, organization):
    return lago.api("GET", f"customers/{organization}/subscriptions").json()["subscriptions"]
