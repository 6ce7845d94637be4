"""A command typed by hand means the portal that runs in its folder, on whichever port it was started."""

import json
import os
from types import SimpleNamespace

import pytest

from billing_portal.embedded import ports


@pytest.fixture
def claim(tmp_path, monkeypatch):
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setattr(ports, "PORTAL", SimpleNamespace(folder=tmp_path))
    return tmp_path / "run.lock"


def test_a_running_portal_is_found_by_its_lock_and_port_wins_over_it(claim, monkeypatch):
    claim.write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:8200"}))
    assert ports.portal() == "8200"
    monkeypatch.setenv("PORT", "8010")
    assert ports.portal() == "8010"


def test_without_one_that_runs_it_is_the_usual_port(claim):
    assert ports.portal() == "8000"
    for left in ("", "{}", "not json", json.dumps({"pid": 2**22 + 1, "url": "http://127.0.0.1:8200"})):
        claim.write_text(left)
        assert ports.portal() == "8000"
