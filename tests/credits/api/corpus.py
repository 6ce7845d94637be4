"""The corpus of bad input: values by kind of field, bodies that are none, and query strings (F30, F31, F32, M9)."""

from collections.abc import Iterator
from typing import Any, Final

from tests.factories.api import MODEL

BAD_AMOUNTS: Final[list[Any]] = [
    "-1", "-0", "-0.0", "NaN", "sNaN", "Infinity", "-Infinity", "inf", "1e400", "1E+999999999", "1e-7", "0.0000001", "1_000",
    "\uff11\uff12", "٣", " 1 ", "1 ", "\n1", "+1", "1,5", "1,000", "0x10", ".5", "5.", "", " ", "1" * 5000, "9" * 24, str(2**63), str(2**64),
    "1000000000.000001", "1\u200b", "\u202e1", "½", "①", "null", "true", 1.5, 0.1, 1e22, -1, -0.0, 2**63, 2**63 - 1, 10**30, True,
    False, [], ["1"], {}, {"amount": "1"},
]  # fmt: skip
BAD_WHOLES: Final[list[Any]] = [
    "1",
    "",
    -1,
    2**31,
    2**63,
    10**30,
    1.0,
    1.5,
    True,
    False,
    [],
    {},
    "\uff11",
    "NaN",
]
BAD_TEXTS: Final[list[Any]] = [
    1,
    1.5,
    True,
    [],
    {},
    "x" * 5000,
    "a\r\nb",
    "a\tb",
    "\x1b[31m",
    "\x7f",
    "e\u0301" * 10_000,
]
ODD_TEXTS: Final[list[str]] = [
    "\u202egnp",
    "a\u200bb",
    "🦆",
    "e\u0301",
    "\ufeff",
    "'; DROP TABLE x;--",
    "<script>",
    "=1+1",
    "\\",
    "%s",
    "{}",
]
BAD_IDS: Final[list[Any]] = [
    "",
    "1",
    "org_",
    "org_none",
    "usr_none",
    "x" * 65,
    "a b",
    "\u202e",
    "٣",
    "%00",
    "'",
    "../",
    1,
    True,
    [],
    {},
]
BAD_CURRENCIES: Final[list[Any]] = ["EUR", "usd", "", 1, None, [], {}]
BAD_METADATA: Final[list[Any]] = [
    "x",
    1,
    [],
    [1],
    True,
    {"a": {}},
    {"a": []},
    {"a": "x" * 5000},
    {str(n): n for n in range(2000)},
]
BAD_TRANSACTION_IDS: Final[list[Any]] = [
    None,
    "",
    "x" * 129,
    "é",
    "\t",
    "a\n",
    "\x7f",
    1,
    True,
    [],
    {},
    "\u00a0",
    "🦆",
]

SPEND: Final = {"transaction_id": "t", "credits": "1", "service": "llm"}
TOKENS: Final = {"transaction_id": "t", "model": MODEL, "input_tokens": 5, "service": "llm"}
UNITS: Final = {"transaction_id": "t", "unit": "api_call", "units": "1"}
MONEY: Final = {"transaction_id": "t", "cost": {"amount": "1", "currency": "USD"}}


def spending(path: str) -> Iterator[tuple[str, str, dict[str, Any], str, list[Any]]]:
    """Return (method, path, a good body, field, bad values) of an endpoint that spends."""
    yield "POST", path, SPEND, "credits", BAD_AMOUNTS
    yield "POST", path, UNITS, "units", BAD_AMOUNTS
    yield (
        "POST",
        path,
        MONEY,
        "cost",
        [
            *BAD_AMOUNTS,
            *(
                {"amount": bad, "currency": "USD"}
                for bad in BAD_AMOUNTS
                if bad != "0.0000001" and bad != "1e-7"
            ),
        ],
    )
    yield (
        "POST",
        path,
        MONEY,
        "cost",
        [{"amount": "1", "currency": bad} for bad in BAD_CURRENCIES],
    )
    yield "POST", path, TOKENS, "input_tokens", BAD_WHOLES
    yield "POST", path, TOKENS, "cached_input_tokens", [*BAD_WHOLES, 6]
    yield "POST", path, TOKENS, "model", BAD_TEXTS
    for name in ("service", "provider"):
        yield "POST", path, SPEND, name, BAD_TEXTS
    yield "POST", path, SPEND, "metadata", BAD_METADATA
    yield "POST", path, SPEND, "byok", ["true", 1, 0, [], {}, "", 1.5]
    yield (
        "POST",
        path,
        {"transaction_id": "t", "model": "m"},
        "images",
        [
            1,
            [],
            {},
            {"count": 0},
            {"count": 1.5},
            {"count": "1"},
            {"count": 1, "x": 1},
            {"count": 1, "size": []},
        ],
    )


FIELDS: Final = [
    *spending("/usage/holds"), *spending("/usage/charges"), *spending("/usage/check"), *spending("/usage/estimate"),
    *(("POST", path, SPEND, "transaction_id", BAD_TRANSACTION_IDS) for path in ("/usage/holds", "/usage/charges")),
    *(("POST", path, SPEND, name, BAD_IDS[1:]) for path in ("/usage/holds", "/usage/charges", "/usage/check") for name in ("org_id", "user_id")),
    ("POST", "/usage/holds", SPEND, "ttl_seconds", [*BAD_WHOLES, 0, 86401]),
    ("POST", "/usage/holds", TOKENS, "max_output_tokens", BAD_WHOLES),
    ("POST", "/usage/charges", TOKENS, "output_tokens", BAD_WHOLES),
    ("POST", "/usage/charges", SPEND, "after_the_fact", ["true", 1, [], {}]),
    ("POST", "/usage/holds/{hold}/capture", {"credits": "1"}, "credits", BAD_AMOUNTS),
    ("POST", "/usage/holds/{hold}/capture", {"model": MODEL, "input_tokens": 1}, "output_tokens", BAD_WHOLES),
    ("POST", "/usage/holds/{hold}/capture", {"model": MODEL, "input_tokens": 1}, "model", BAD_TEXTS),
    ("POST", "/usage/charges/{charge}/reverse", {"reason": "r"}, "credits", [*BAD_AMOUNTS, "0"]),
    ("POST", "/usage/charges/{charge}/reverse", {"reason": "r"}, "reason", [*BAD_TEXTS, "", None]),
    ("POST", "/usage/keys/introspect", {"key": "x"}, "key", [None, 1, True, [], {}]),
    *(("POST", "{credits}/allocate", {"user_id": "{user}", "credits": "1"}, name, bad) for name, bad in (
        ("credits", [*BAD_AMOUNTS, None]), ("user_id", [*BAD_IDS, None]), ("mode", [*BAD_TEXTS, "SET", "sub"]), ("notes", BAD_TEXTS),
        ("reset_period", [*BAD_TEXTS, "hourly"]), ("allocations", [1, {}, [], [1], [[]], [{}], "x"]))),
    *(("PATCH", "{credits}/allocations/{user}", {"credits": "1"}, name, bad) for name, bad in (
        ("credits", [*BAD_AMOUNTS, None]), ("mode", BAD_TEXTS), ("notes", BAD_TEXTS), ("limited", [True, "false", 0, None, [], {}]))),
]  # fmt: skip

RAW: Final[dict[str, tuple[bytes, str, set[int]]]] = {
    "empty": (b"", "application/json", {400, 422}),
    "blank": (b"  \n", "application/json", {400}),
    "array": (b'[{"credits": "1"}]', "application/json", {400}),
    "text": (b'"x"', "application/json", {400}),
    "null": (b"null", "application/json", {400}),
    "number": (b"1", "application/json", {400}),
    "cut off": (b'{"transaction_id": "t", "credits": "1', "application/json", {400}),
    "two objects": (b"{}{}", "application/json", {400}),
    "NaN": (b'{"transaction_id": "t", "credits": NaN}', "application/json", {400}),
    "Infinity": (b'{"transaction_id": "t", "credits": -Infinity}', "application/json", {400}),
    "1e400": (b'{"transaction_id": "t", "credits": 1e400}', "application/json", {400, 422}),
    "1e400 in metadata": (b'{"transaction_id": "t", "credits": "1", "metadata": {"a": 1e400}}', "application/json", {400, 422}),
    "-1e999 in metadata": (b'{"transaction_id": "t", "credits": "1", "metadata": {"a": -1e999}}', "application/json", {400, 422}),
    "5,000 digits": (b'{"transaction_id": "t", "credits": ' + b"9" * 5000 + b"}", "application/json", {400, 422}),
    "a name twice": (b'{"transaction_id": "t", "credits": "1", "credits": "2"}', "application/json", {400}),
    "a name twice inside": (b'{"transaction_id": "t", "credits": "1", "metadata": {"a": 1, "a": 2}}', "application/json", {400}),
    "NUL": (b'{"transaction_id": "t", "credits": "1", "service": "a\\u0000b"}', "application/json", {400}),
    "NUL in a name": (b'{"transaction_id": "t", "credits": "1", "a\\u0000": 1}', "application/json", {400}),
    "NUL in metadata": (b'{"transaction_id": "t", "credits": "1", "metadata": {"a": "\\u0000"}}', "application/json", {400}),
    "raw NUL": (b'{"transaction_id": "t", "credits": "1", "service": "a\x00b"}', "application/json", {400}),
    "lone surrogate": (b'{"transaction_id": "t", "credits": "1", "service": "\\ud800"}', "application/json", {400}),
    "surrogate in metadata": (b'{"transaction_id": "t", "credits": "1", "metadata": {"\\udfff": "a"}}', "application/json", {400}),
    "bad UTF-8": (b'{"transaction_id": "t", "credits": "1", "service": "\xff"}', "application/json", {400}),
    "UTF-8 of a surrogate": (b'{"transaction_id": "t", "service": "\xed\xa0\x80"}', "application/json", {400}),
    "UTF-16": ('{"credits": "1"}'.encode("utf-16"), "application/json", {400}),
    "byte order mark": (b'\xef\xbb\xbf{"credits": "1"}', "application/json", {400}),
    "deep": (b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", {400}),
    "deep objects": (b'{"metadata":' * 2000 + b"1" + b"}" * 2000, "application/json", {400}),
    "unclosed deep": (b"[" * 500_000, "application/json", {400}),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "application/json", {400}),
    "3 MB": (b'{"transaction_id": "' + b"x" * 3_000_000 + b'"}', "application/json", {413, 422}),
    "form": (b"transaction_id=t&credits=1", "application/x-www-form-urlencoded", {415}),
    "multipart": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", {415}),
    "bad multipart": (b"garbage", "multipart/form-data", {415}),
    "plain": (b'{"credits": "1"}', "text/plain", {415}),
    "no type": (b'{"credits": "1"}', "", {415}),
    "a type that is none": (b"{}", "application/json/x; ;=", {415, 400, 422}),
    "unknown fields": (b'{"transaction_id": "t", "credits": "1", "organization_id": 1, "price": {}, "late": true}', "application/json", {422}),
    "fields named as ours": (b'{"code": 1, "message": 2, "status": 3, "self": 4, "details": 5}', "application/json", {422}),
}  # fmt: skip

QUERIES: Final = [
    f"{name}={value}"
    for name, values in {
        "limit": ("0", "-1", "101", "9" * 30, "", "x", "1.5", "%00", "٣", "1e2", "+1", " 1"),
        "offset": ("-1", "9" * 30, "x", "", "%00", "1000001"),
    }.items()
    for value in values
]
CURSORS: Final = [
    "x",
    "%00",
    "e30",
    "MQ",
    "bnVsbA",
    "Ilx1MDAwMCI",
    "x" * 600,
    "WyJ4Il0",
    "Ijk5Ig",
    "IiI",
    "%F0%9F%A6%86",
    "====",
    "MTIzNA",
]
DATES: Final = [
    f"{name}={value}"
    for name in ("start_date", "end_date")
    for value in (
        "x",
        "2026-02-30",
        "0000-00-00",
        "9999-12-31",
        "0001-01-01",
        "%00",
        "2026-01-01T00:00:00",
        "\uff11",
        "-1",
        "1" * 50,
    )
]
FILTERS: Final = ["days=0", "days=-1", "days=9999999", "days=x", "group_by=x", "group_by=", "format=xml", "start_date=2026-02-01&end_date=2026-01-01",
                  "start_date=2001-01-01&end_date=2026-01-01", "user_id=%00", "department_id=%00", "service=%00", "model=" + "x" * 300]  # fmt: skip
READS: Final = [
    *(("/usage/holds", query) for query in QUERIES),
    *(("{credits}/allocations", query) for query in [*QUERIES, "status=x", "search=%00", "search=" + "x" * 300, "department_id=%00"]),
    *(("/models", query) for query in QUERIES),
    *((path, f"cursor={cursor}") for path in ("{credits}/records", "{credits}/ledger") for cursor in CURSORS),
    *((path, query) for path in ("{credits}/records", "{credits}/ledger") for query in QUERIES if query.startswith("limit")),
    *(("{credits}/usage", query) for query in [*DATES, *FILTERS]),
    *(("{credits}/records", query) for query in DATES),
]  # fmt: skip
