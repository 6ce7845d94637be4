"""Making .venv, in a folder of the test's own and without the network: the lock file in it pins nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from billing_portal.embedded.places import PROJECT


@pytest.fixture
def project(tmp_path) -> Path:
    target = tmp_path / "project" / "billing_portal" / "embedded"
    target.mkdir(parents=True)
    shutil.copy2(PROJECT / "billing_portal" / "embedded" / "venv.py", target)
    (tmp_path / "project" / "requirements.lock").write_text("# nothing\n")
    return tmp_path / "project"


def make(project: Path) -> "subprocess.CompletedProcess[str]":
    script = project / "billing_portal" / "embedded" / "venv.py"
    return subprocess.run(
        [sys.executable, str(script), "requirements.lock"], capture_output=True, text=True, check=False
    )


def test_a_half_made_environment_is_made_anew_then_left_alone_and_a_failure_is_one_line(project):
    half = project / ".venv" / "bin"
    half.mkdir(parents=True)
    (half / "python").write_text("#!/bin/sh\nexit 1\n")
    (half / "python").chmod(0o755)

    first = make(project)
    assert first.returncode == 0, first.stderr
    assert "Installed in" in first.stdout
    assert (project / ".venv" / ".installed-requirements.lock").exists()

    again = make(project)
    assert (again.returncode, again.stdout) == (0, ""), "nothing to do, nothing to say"

    (project / "requirements.lock").write_text("no-such-file @ file:///no/such/file.whl --hash=sha256:00\n")
    failed = make(project)
    assert failed.returncode == 1
    assert failed.stderr.startswith("billing portal: Cannot install requirements.lock: ")
    assert failed.stderr.count("\n") == 1
    assert not (project / ".venv" / ".installed-requirements.lock").exists(), "so the next run tries again"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line(project):
    project.chmod(0o500)
    try:
        refused = make(project)
    finally:
        project.chmod(0o700)
    assert refused.returncode == 1
    assert "Cannot write" in refused.stderr
    assert "Traceback" not in refused.stderr
