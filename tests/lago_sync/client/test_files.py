"""Lago's files: without the key, from its own addresses only, of a bounded size."""

import socket

import pytest

from lago_sync.client import files
from lago_sync.errors import LagoUnavailable
from tests.lago_sync.client.scripted import drop, say, scripted

PDF = say(200, b"%PDF-1.4")


def test_are_fetched_without_the_key_along_lagos_own_redirects(server):
    server.answer(say(302, b"", Location="/rails/storage/1.pdf"), PDF)
    assert files.fetch(f"{server.url}/files/1") == b"%PDF-1.4"
    assert [(one.path, one.headers.get("Authorization")) for one in server.asked] == [
        ("/files/1", None),
        ("/rails/storage/1.pdf", None),
    ]


def test_come_from_lagos_public_address_too(server, settings):
    settings.LAGO_PUBLIC_URL, settings.LAGO_API_URL = server.url, "http://lago.internal:3000/api/v1"
    server.answer(PDF)
    assert files.fetch(f"{server.url}/files/1") == b"%PDF-1.4"


def test_come_from_a_store_inside_the_network_that_the_operator_named(server, settings):
    with scripted() as store:
        settings.LAGO_FILES_URL = store.url
        store.answer(PDF)
        server.answer(say(302, b"", Location=f"{store.url}/bucket/1.pdf"))
        assert files.fetch(f"{server.url}/files/1") == b"%PDF-1.4"
        assert [one.headers.get("Authorization") for one in store.asked] == [None]


@pytest.mark.parametrize(
    ("scheme", "addresses", "is_asked"),
    [
        ("https", ["52.216.8.1", "2600:1f18::1"], True),
        ("http", ["52.216.8.1"], False),
        ("https", ["52.216.8.1", "10.0.0.7"], False),
        ("https", ["127.0.0.1"], False),
        ("https", ["169.254.169.254"], False),
        ("https", ["fe80::1%eth0"], False),
        ("https", ["::ffff:10.0.0.7"], False),
        ("https", ["100.64.0.1"], False),
    ],
)
def test_come_from_a_public_store_that_lago_leads_to_and_from_none_inside(
    server, monkeypatch, scheme, addresses, is_asked
):
    asked = []

    def look_up(host, port, *rest, **options):
        asked.append(host)
        if len(asked) > 1:
            raise OSError("asked to connect; there is no such store here")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    store = f"{scheme}://bucket.s3.example/1.pdf"
    server.answer(say(302, b"", Location=store), say(302, b"", Location=store))
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **options: (look_up if "s3" in host else real)(host, *rest, **options),
    )
    with pytest.raises(LagoUnavailable, match="does not give" if is_asked else "not its own"):
        files.fetch(f"{server.url}/files/1")
    asked.clear()
    with pytest.raises(LagoUnavailable, match="not its own"):
        files.fetch(store)  # which Lago did not lead to


def test_come_from_nowhere_else_though_lago_says_so(server):
    with scripted() as inside:
        inside.answer(PDF)
        server.answer(say(302, b"", Location=f"{inside.url}/secret"))
        for url in (
            f"{inside.url}/secret",
            f"{server.url}/files/1",
            "file:///etc/passwd",
            "http://169.254.169.254/",
            server.url.replace("http://", "http://user@evil.example:80@"),
            "http://[::1",
        ):
            with pytest.raises(LagoUnavailable):
                files.fetch(url)
        assert not inside.asked


@pytest.mark.parametrize(
    "answer", [say(404, b""), say(500, b""), say(200, b"x" * 2000), drop, say(302, b"", Location="/files/1")]
)
def test_that_are_not_there_or_too_large_are_unavailable(server, answer):
    server.answer(answer)
    with pytest.raises(LagoUnavailable):
        files.fetch(f"{server.url}/files/1", most=1000)
