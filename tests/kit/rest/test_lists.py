"""Query parameters and pages of lists: sensible ones are taken, everything else is 422 by name."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from kit.errors import ValidationError
from kit.rest import lists


def asking(**query: str) -> Request:
    return Request(APIRequestFactory().get("/", query))


class TestPage:
    def test_is_fifty_from_the_start_unless_told(self):
        assert lists.page_of(asking()) == lists.Page(limit=50, offset=0)

    @pytest.mark.parametrize(("limit", "offset"), [("1", "0"), ("100", "1000000"), ("007", "1")])
    def test_is_what_was_asked_for(self, limit, offset):
        assert lists.page_of(asking(limit=limit, offset=offset)) == lists.Page(int(limit), int(offset))

    @given(st.text(max_size=30))
    def test_is_refused_or_sensible_whatever_was_asked(self, text):
        with suppress(ValidationError):
            assert 1 <= lists.page_of(asking(limit=text, offset=text)).limit <= 100

    def test_says_that_there_is_more(self):
        shown = lists.answer(["a", "b"], page=lists.Page(2, 2), total=5)
        assert shown == {
            "data": ["a", "b"],
            "pagination": {"total": 5, "limit": 2, "offset": 2, "has_more": True},
        }
        assert lists.answer(["a"], page=lists.Page(2, 4), total=5)["pagination"]["has_more"] is False
        assert lists.answer([], page=lists.Page(2, 50), total=5)["pagination"]["has_more"] is False


class TestCursor:
    @given(st.one_of(st.text(max_size=40), st.integers(min_value=0, max_value=2**63 - 1)))
    def test_comes_back_as_it_went(self, key):
        assert lists.cursor_of(asking(cursor=lists.encode_cursor(key)), type(key)) == key

    @given(st.text(min_size=1, max_size=700))
    def test_that_was_made_up_is_422(self, text):
        with suppress(ValidationError):
            assert isinstance(lists.cursor_of(asking(cursor=text), int), int)

    @pytest.mark.parametrize("key", [True, -1, 2**63, 1.5, None, [1], {"a": 1}, "1"])
    def test_of_another_kind_is_422(self, key):
        with pytest.raises(ValidationError):
            lists.cursor_of(asking(cursor=lists.encode_cursor(key)), int)

    def test_ends_where_the_rows_end(self):
        def page(rows: list[int]) -> dict[str, Any]:
            return lists.cursor_answer(rows, limit=2, key=lambda row: row, show=str)

        assert page([9, 8, 7])["data"] == ["9", "8"]
        cursor = page([9, 8, 7])["pagination"]["next_cursor"]
        assert lists.cursor_of(asking(cursor=cursor), int) == 8
        assert page([9, 8])["pagination"]["next_cursor"] is None
        assert page([]) == {"data": [], "pagination": {"next_cursor": None, "limit": 2}}


class TestTexts:
    def test_are_taken_as_they_are(self):
        assert lists.text(asking(search="Ünï % _"), "search") == "Ünï % _"
        assert lists.text(asking(), "search") == ""

    @pytest.mark.parametrize("text", ["a\x00b", "x" * 201])
    def test_that_sql_cannot_hold_are_422(self, text):
        with pytest.raises(ValidationError):
            lists.text(asking(search=text), "search")

    def test_of_a_choice_are_one_of_it(self):
        assert lists.choice(asking(status="open"), "status", of=("open", "closed")) == "open"
        assert lists.choice(asking(), "status", of=("open", "closed")) == ""
        with pytest.raises(ValidationError):
            lists.choice(asking(status="ajar"), "status", of=("open", "closed"))
