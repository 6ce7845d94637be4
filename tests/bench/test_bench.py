"""`python -m bench` on a database of its own: every scenario runs for a moment and reports."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from bench.figures import Row, Sample, Series, within

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bench")]  # minutes of load: only `make test-all`

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = (
    sys.executable,
    "-m",
    "bench",
    "--seconds",
    "0.3",
    "--turns",
    "1",
    "--clients",
    "2",
    "--organizations",
    "5",
)


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], cwd=PROJECT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    file = folder / "found.json"
    said = bench("--folder", str(folder), "--json", str(file))
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout, json.loads(file.read_text())


def test_every_scenario_reports_both_sides_in_process_and_over_http(run):
    _, found = run
    measured = {(row["place"], row["scenario"], row["clients"]): row["sides"] for row in found["rows"]}
    for place, scenario in product(("process", "http"), ("spread", "hot", "pairs", "batches")):
        sides = measured[place, scenario, 2]
        assert {"ours", "textbook"} <= sides.keys()
        assert all(side["per_second"] > 0 and side["failures"] == 0 for side in sides.values())
    assert "counted" in measured["process", "spread", 2]


def test_the_run_ends_with_half_the_highest_load_and_the_laws(run):
    said, found = run
    [half] = found["half_load"]
    assert all(side["p99_ms"] > 0 for side in half["sides"].values())
    assert found["violations"] == []
    assert "the laws of the ledger hold" in said


def test_the_report_names_the_machine_and_what_was_measured(run):
    said, found = run
    assert {"cores", "processor", "python", "postgresql", "commit"} <= found["machine"].keys()
    assert "fsync on, synchronous_commit on" in found["machine"]["postgresql"]
    assert all(title in said for title in ("In process", "Over HTTP", "hold + capture", "batches of 1,000"))


def test_an_unknown_scenario_is_refused_by_name():
    said = bench("--only", "nonsense")
    assert said.returncode == 1
    assert "nonsense" in said.stderr


def test_what_was_under_way_at_the_end_counts_by_its_part():
    assert within(begun=0.0, done=1.0, end=2.0) == 1.0
    assert within(begun=1.0, done=5.0, end=2.0) == 0.25


def test_a_ratio_is_of_medians_so_that_one_slow_turn_changes_nothing():
    def turns(*charges: int) -> Series:
        return Series([Sample(seconds=1.0, charges=made, latencies=[0.1]) for made in charges])

    row = Row("process", "spread", 16, {"textbook": turns(100, 1, 110), "ours": turns(700, 650, 3)})
    assert row.ratio("ours") == 6.5
