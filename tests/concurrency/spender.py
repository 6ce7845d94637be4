"""A process of its own that spends from threads, as one of several web workers: told what to do by one line of JSON.

For each line {"organization", "users", "count", "cost", "prefix"} it says "ready", waits for "go", and prints how its
requests ended.
"""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import connection  # noqa: E402 - Django must be up before its models are imported

from credits.ledger import combining  # noqa: E402
from credits.ledger.commands import MakeCharge, Settled, Spender  # noqa: E402
from credits.pricing.costs import CreditsCost  # noqa: E402
from kit.errors import TryAgain  # noqa: E402

THREADS = 16


def main() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda _: connection.ensure_connection(), range(THREADS)))
            print("ready", flush=True)  # noqa: T201 - how processes talk
            sys.stdin.readline()
            outcomes = list(pool.map(partial(spend, told), range(told["count"])))
            list(pool.map(lambda _: connection.close(), range(THREADS)))
        print(json.dumps(Counter(outcomes)), flush=True)  # noqa: T201


def spend(told: dict[str, Any], number: int) -> str:
    """Charge once; after `try_again` send the same request again, as a client does."""
    user = told["users"][number % len(told["users"])]
    command = MakeCharge(
        organization_id=told["organization"],
        spender=Spender(made_by="a process", user_id=UUID(user) if user else None),
        transaction_id=f"{told['prefix']}{number}",
        cost=CreditsCost(Decimal(told["cost"])),
        service="llm",
    )
    for _ in range(20):
        outcome = combining.submit(command)
        if isinstance(outcome, Settled):
            return "replayed" if outcome.replayed else "done"
        if not isinstance(outcome, TryAgain):
            return outcome.code
    return "never known"


if __name__ == "__main__":
    main()
