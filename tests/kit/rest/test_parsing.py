"""The strict JSON parser: what Python's and DRF's defaults let through is 400, never 500."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import InvalidRequest
from kit.rest import parsing


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'{"a": [1, "x", null, true, {"b": 1.5}]}',
        '{"ü": "\\u00fc 💸"}'.encode(),
        b'{"a": "[[[[[[[[[[[[[[[[[["}',
    ],
)
def test_takes_json_objects(raw):
    assert isinstance(parsing.loads(raw), dict)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b'"x"',
        b"{not json",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": ["\\ud800"]}',
        b'{"a": "\x00"}',
        b'\xff\xfe{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_refuses(raw):
    with pytest.raises(InvalidRequest):
        parsing.loads(raw)


@given(st.binary(max_size=200))
def test_never_breaks(raw):
    with suppress(InvalidRequest):
        assert isinstance(parsing.loads(raw), dict)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4))
def test_lets_through_only_what_postgresql_can_keep(body):
    import json

    try:
        found = parsing.loads(json.dumps(body).encode())
    except InvalidRequest:
        assert "\\u0000" in json.dumps(body) or "\\ud" in json.dumps(body)
    else:
        assert found == body


def test_refuses_a_body_above_the_limit_without_reading_it_whole():
    from io import BytesIO

    class View:
        body_limit = 10

    stream = BytesIO(b'{"a": "' + b"x" * 1000 + b'"}')
    with pytest.raises(parsing.TooLarge):
        parsing.StrictJSONParser().parse(stream, parser_context={"view": View()})
    assert stream.tell() == 11
