"""The examples start as processes of their own, where nobody has set Django up before them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_starts_by_itself_as_its_readme_says():
    names = [one.stem for one in (ROOT / "examples").glob("*.py") if one.stem not in {"__init__", "portal"}]
    code = f"import importlib; [importlib.import_module('examples.' + one) for one in {names!r}]"
    started = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert started.returncode == 0, started.stderr
