"""What `make run` says when everything runs: where it is, who can sign in, what to try."""

import json
from typing import Any

from billing_portal.embedded.places import PORTAL


def tell_how_to_use(url: str, *, seconds: float, lago: str = "") -> None:
    """Print it; `lago` is the address of the sandbox, empty where a Lago of one's own is used."""
    demo = read_demo()
    print(f"\nReady after {seconds:.1f} s: {url}\n", flush=True)
    for person in demo.get("sign_ins", []):
        print(f"  {person['email']:<26} {person['password']:<16} {person['sees']}")
    if demo.get("curl"):
        print(f"\n  Try the API:  {demo['curl'].replace('http://127.0.0.1:8000', url)}")
    if lago:
        print(f"\n  Lago sandbox: {lago} (invoices to pay or decline; no money moves)")
    print(f"  Mails:        {url}/dev/mail/")
    print("  Logs:         var/log/ (web, worker, beat, sandbox, postgres, valkey)")
    print("  Stop:         Ctrl-C; the data stay in var/\n", flush=True)


def read_demo() -> dict[str, Any]:
    """Return what `manage.py demo` wrote about itself; empty if it did not."""
    try:
        found: dict[str, Any] = json.loads((PORTAL.folder / "demo.json").read_text())
    except (OSError, ValueError):
        return {}
    return found
