"""Reading a CSV of shares: what is said comes out, and what cannot be is named by its line. No database."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from credits.sharing import sheets
from credits.sharing.allocations import Mode
from credits.sharing.terms import KEEP
from kit.errors import ValidationError

BERLIN = ZoneInfo("Europe/Berlin")


def read(text: str | bytes) -> list[sheets.Line]:
    return sheets.read(text if isinstance(text, bytes) else text.encode(), zone=BERLIN)


def test_reads_every_column_in_any_order_and_what_is_empty_stays_as_it_is():
    full, bare = read(
        "Credits, notes,user_id,email,MODE,reset_period,expires_at\n"
        '12.5,"for, the sprint",usr_a,A@x.example,ADD,Monthly,2027-03-28\n\n,,\n'
        "0,,usr_b\n,,usr_c\n"
    )
    assert (full.number, full.email, full.user_id, full.credits) == (
        2,
        "A@x.example",
        "usr_a",
        Decimal("12.5"),
    )
    assert (full.mode, full.reset_period, full.notes) == (Mode.ADD, "monthly", "for, the sprint")
    assert full.expires_at == datetime(2027, 3, 28, 22, tzinfo=UTC), (
        "the last day is the day of the clock change"
    )
    assert (bare.number, bare.mode, bare.reset_period, bare.expires_at) == (5, Mode.SET, None, KEEP)
    assert not full.faults + bare.faults


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_reads_what_spreadsheets_write(mark, end):
    [line] = read(mark + end.join([b"email;credits;expires_at", "zoë@x.example;5;never".encode()]))
    assert (line.who, line.credits, line.expires_at, line.faults) == ("zoë@x.example", 5, None, [])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",5,,,", "names nobody"), ("a,,add,,", "credits is empty"), ("a,-1,,,", "credits must be"), ("a,1e3,,,", "credits must be"),
        ("a,0.0000001,,,", "6 decimal places"), ("a,1000000001,,,", "at most"), ('a,"1,000",,,', "plain digits"), ("a,5,take,,", "mode must be"),
        ("a,5,,yearly,", "reset_period must be"), ("a,5,,,tomorrow", "expires_at must be"), ("a,5,,,2027-02-30", "expires_at must be"),
        ("a,5,,,2027-01-31T12:00:00", "expires_at must be"), ("a,5,,,9999-12-31", "expires_at must be"), ("a,5,,,,x", "more fields"),
        ('"a\x01",5,,,', "cannot be read"), (f"{'a' * 255},5,,,", "email is too long"),
    ],
)  # fmt: skip
def test_names_what_is_wrong_with_a_line_and_reads_the_next(row, said):
    bad, good = read(f"email,credits,mode,reset_period,expires_at\n{row}\nb,1,,,\n")
    assert bad.number == 2
    assert any(said in fault for fault in bad.faults), bad.faults
    assert (good.number, good.faults) == (3, [])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"), (b"email,credits\n", "no line"), (b"email,credits\na,\n", "no line"), (b"email\na\n", "needs the column credits"), (b"credits\n5\n", "needs the column"),
        (b"email,credits,colour\na,5,red\n", "colour"), (b"email,credits,credits\na,5,6\n", "twice"), (b"\xff\xfe\x00", "UTF-8"),
        (b"email,credits\na\x00,5\n", "not text"), (b'email,credits\n"a,5\n', "from line 2"), (b"x" * (1024 * 1024 + 1), "1 MiB"),
        (b"email,credits\n" + b"a,5\n" * 5001, "5,000 lines"),
    ],
)  # fmt: skip
def test_refuses_what_cannot_be_read_as_a_whole(data, said):
    with pytest.raises(ValidationError) as caught:
        read(data)
    assert said in caught.value.details["file"]
