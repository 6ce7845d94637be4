"""Where a request comes from, and whether a key may be used from there."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.http import HttpRequest

from kit.errors import ValidationError

_Network = IPv4Network | IPv6Network


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, "" if unknown; TRUSTED_PROXIES are seen through before Django is asked."""
    address: str = request.META.get("REMOTE_ADDR", "")
    return address


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Tell whether an address lies in one of the networks; an address that is none lies nowhere."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in _networks(tuple(networks)))


def cleaned(networks: Iterable[str]) -> list[str]:
    """Return addresses and networks as PostgreSQL and we write them; raises ValidationError for what is none."""
    try:
        return [str(ip_network(one.strip())) for one in networks]
    except ValueError as error:
        raise ValidationError(allowed_addresses=f"An address or network is expected: {error}.") from None


@lru_cache(maxsize=1024)
def _networks(networks: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ip_network(one, strict=False) for one in networks)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return the address; an IPv4 one that came over an IPv6 socket as what it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
