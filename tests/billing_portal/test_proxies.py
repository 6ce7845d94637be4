"""Who is believed about where a request came from."""

import pytest

from billing_portal.proxies import trusting


def seen_by_the_portal(proxies: list[str], **environ: str) -> tuple[str, str]:
    """The address and the scheme that the portal sees."""
    seen = {}

    def portal(environ, start_response):
        seen.update(environ)
        return []

    trusting(portal, proxies)({"REMOTE_ADDR": "10.0.0.5", "wsgi.url_scheme": "http", **environ}, None)
    return seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]


def test_without_trusted_proxies_nothing_is_believed():
    lie = {"HTTP_X_FORWARDED_FOR": "1.2.3.4", "HTTP_X_FORWARDED_PROTO": "https"}
    assert seen_by_the_portal([], **lie) == ("10.0.0.5", "http")
    assert seen_by_the_portal(["192.168.0.0/16"], **lie) == ("10.0.0.5", "http")


def test_a_trusted_proxy_names_the_client_and_the_scheme():
    told = {"HTTP_X_FORWARDED_FOR": "203.0.113.7", "HTTP_X_FORWARDED_PROTO": "https"}
    assert seen_by_the_portal(["10.0.0.0/8"], **told) == ("203.0.113.7", "https")


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),  # what stands before it, the client wrote
        ("203.0.113.7, 10.0.0.9", "203.0.113.7"),  # two proxies of ours in a row
        ("203.0.113.7, nonsense", "10.0.0.5"),
        ("", "10.0.0.5"),
    ],
)
def test_the_last_address_that_is_not_a_proxy_of_ours_is_the_client(header, client):
    assert seen_by_the_portal(["10.0.0.0/8"], HTTP_X_FORWARDED_FOR=header)[0] == client


def test_what_is_no_address_is_refused_at_the_start():
    with pytest.raises(ValueError, match="does not appear to be"):
        trusting(lambda *_: [], ["proxy.internal"])
