"""Where Lago's code, which the sandbox and the client follow, and its official schema differ, and why the code is believed.

A pattern of "METHOD /path STATUS place: message" and the paragraph of Lago's facts. Both directions are judged by this one
list: what the sandbox answers (tests/lago_sandbox/test_schema.py) and what the client asks (tests/lago_sync/test_lago_schema.py).
"""

import re
from collections.abc import Iterable
from typing import Final

DISAGREEMENTS: Final = {
    r"GET /organizations not in the schema": "§2.6: Lago has had it for years, and it is the way to prove a key (§9)",
    r"events_errors\.missing_group_key: None": "§2.5: null, always",
    r"POST /invoices/\S+/download_pdf not in the schema": "§2.8: another name of download",
    r"200 \S*(fees\[\]|fee)\.(precise_amount|precise_total_amount|taxes_precise_amount): .* 'string'": (
        "§1.4: these three of a fee are JSON numbers"
    ),
    r"200 \S*wallets?(\[\])?: 'balance' is a required": "§9: a wallet has balance_cents and credits_balance, no balance",
    r"GET /wallet_transactions/{lago_id} 200 \$: '\w+' is a required": (
        "like every other resource it stands in its root object; the official client reads it from there"
    ),
    r"POST /wallet_transactions/{lago_id}/payment_url 200 \$: '\w+' is a required": (
        "§2.7: the fields stand in wallet_transaction_payment_details; the list of required ones has slipped out"
    ),
    r"200 \S*invoices?(\[\])?\.file_url: None": "§2.8: null until the document is made",
    r"GET /analytics/\w+ 200 \S*amount_cents: None": "§2.10: a month without data has null",
    r"200 \S*payments?(\[\])?\.(reference|payment_provider_\w+|provider_customer_id): None": (
        "§2.9: a payment made by hand has no provider, a provider's has no reference of ours"
    ),
    r"GET /payments/{lago_id} 200 \$: '\w+' is a required": "like every other resource it stands in its root object",
    r"plan\.entitlements\[\]: 'entitlement' is a required": (
        "§2.11: the list has the entitlements themselves; the description points at the answer with its root"
    ),
    r"POST /events 422 \$\.error_details: .* 'object'": "§1.2: a failed expression is told as a bare text",
}


def unexplained(found: Iterable[str]) -> list[str]:
    """Return what no entry of the list explains."""
    return sorted(one for one in found if not any(re.search(known, one) for known in DISAGREEMENTS))
