"""Believing X-Forwarded-For and X-Forwarded-Proto, but only from TRUSTED_PROXIES.

Around the whole WSGI application, so that everything after it (redirects to https, rate limits, audit) reads plain
REMOTE_ADDR and the plain scheme. Without trusted proxies there is nothing around it.
"""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def trusting(application: Application, proxies: list[str]) -> Application:
    """Return `application` behind `proxies` (addresses or networks); raises ValueError for what is neither."""
    if not proxies:
        return application
    networks = [ip_network(proxy, strict=False) for proxy in proxies]

    def behind_proxies(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if is_in(environ.get("REMOTE_ADDR", ""), networks):
            if environ.get("HTTP_X_FORWARDED_PROTO") == "https":
                environ["wsgi.url_scheme"] = "https"
            environ["REMOTE_ADDR"] = client_address(environ, networks)
        return application(environ, start_response)

    return behind_proxies


def client_address(environ: dict[str, Any], networks: list[IPv4Network | IPv6Network]) -> str:
    """Return the last address that is not a proxy of ours: what stands before it, anybody may have written."""
    came_from = str(environ.get("REMOTE_ADDR", ""))
    named = [part.strip() for part in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",") if part.strip()]
    for address in reversed(named):
        if not is_address(address):
            return came_from
        came_from = address
        if not is_in(address, networks):
            return address
    return came_from


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_in(address: str, networks: list[IPv4Network | IPv6Network]) -> bool:
    return is_address(address) and any(ip_address(address) in network for network in networks)
