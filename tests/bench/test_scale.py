"""`python -m bench.scale`: what is called met, and a run on data that is not large."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.scale_figures import Hold, Measure, percentile, ratio

PROJECT = Path(__file__).resolve().parents[2]


def test_a_target_is_met_by_the_p95_and_by_no_failure():
    seconds = [0.001] * 96 + [1.0] * 4
    assert Measure("here", "quick", 5, seconds).is_met
    assert not Measure("here", "slow", 5, [0.001] * 90 + [1.0] * 10).is_met
    assert not Measure("here", "broken", 5, seconds, failures=1).is_met


def test_the_ratio_is_of_turns_side_by_side_so_that_a_slow_minute_hits_both():
    few = Hold(10_000, [[0.002] * 3, [0.020] * 3, [0.002] * 3])
    many = Hold(10_000_000, [[0.0021] * 3, [0.021] * 3, [0.0021] * 3])
    assert ratio([many, few]) == pytest.approx(1.05)


def test_nothing_measured_has_no_percentile_and_meets_nothing():
    assert percentile([], 0.95) != percentile([], 0.95)
    assert not Measure("here", "nothing", 5).is_met


@pytest.mark.slow
@pytest.mark.xdist_group("bench")
def test_a_run_fills_both_databases_and_reports_every_line(tmp_path):
    file = tmp_path / "found.json"
    sizes = (
        "--organizations",
        "5",
        "--members",
        "3",
        "--usage",
        "200",
        "--few",
        "20",
        "--n",
        "3",
        "--turns",
        "2",
    )
    said = subprocess.run(
        [sys.executable, "-m", "bench.scale", *sizes, "--folder", str(tmp_path), "--json", str(file)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    found = json.loads(file.read_text())
    assert found["violations"] == []
    assert len(found["measures"]) == 17
    assert all(one["failures"] == 0 and one["n"] == 3 for one in found["measures"])
    assert [one["usage_records"] for one in found["holds"]] == [20, 400]
    assert "times as long, at most 1.1" in said.stdout
