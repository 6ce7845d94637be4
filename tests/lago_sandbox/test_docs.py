"""docs/sandbox.md names a test for each of the 61 behaviours, every switch, and every route of the control plane."""

import re

from tests.factories.lago import ROOT

DOCS = (ROOT / "docs/sandbox.md").read_text()


def test_every_behaviour_has_a_test_that_exists():
    named = dict(re.findall(r"^\| (B\d+) \| .* \| `(test_\w+)` \|$", DOCS, re.MULTILINE))
    assert list(named) == [f"B{number}" for number in range(1, 62)]
    there = "\n".join(one.read_text() for one in (ROOT / "tests/lago_sandbox").glob("test_*.py"))
    assert [one for one in named.values() if f"def {one}(" not in there] == []


def test_every_switch_and_every_control_is_documented(lago):
    assert [one for one in lago.settings() if one.removeprefix("rate_limit") not in DOCS] == []
    plane = (ROOT / "lago_sandbox/urls.py").read_text().split("plane:")[1].split("urlpatterns")[0]
    routes = re.findall(r'path\("([\w/]+)"', plane)
    assert len(routes) == 12
    assert [one for one in routes if not re.search(rf"`[^`]*\b{one}\b[^`]*`", DOCS)] == []
