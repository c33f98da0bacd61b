"""An address with a port as one word: an IPv6 address stands in brackets before its port."""

from __future__ import annotations


def bracketed(address: str) -> str:
    """Return an address as it stands before a `:` and a port."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def with_port(address: str, port: int | str) -> str:
    """Return both as one word, such as `10.0.0.1:443` and `[2001:db8::1]:443`."""
    return f"{bracketed(address)}:{port}"


def address_of(word: str) -> str:
    """Return the address of an address with a port, without brackets."""
    return word.rpartition(":")[0].removeprefix("[").removesuffix("]")
