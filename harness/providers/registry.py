"""The providers there are, by name, those that are taken unasked first.

A provider is added by its folder here and its line below (docs/extending.md).
"""

from __future__ import annotations

from harness.providers.base import Provider
from harness.providers.docker import DockerProvider
from harness.providers.libvirt import LibvirtProvider
from harness.providers.virtualbox import VirtualBoxProvider

PROVIDERS: dict[str, Provider] = {
    each.name: each for each in (LibvirtProvider(), DockerProvider(), VirtualBoxProvider())
}
# Of a plan without a host: what every host that can run anything has.
DEFAULT = DockerProvider.name


def names() -> tuple[str, ...]:
    """Return what a provider may be called."""
    return tuple(sorted(PROVIDERS))


def providers() -> tuple[Provider, ...]:
    """Return every provider, by name."""
    return tuple(PROVIDERS[name] for name in names())


def connections() -> dict[str, bool]:
    """Return of each provider whether its machines are made over a connection that is named."""
    return {each.name: each.connection() is not None for each in providers()}


def provider(name: str | None) -> Provider:
    """Return the provider of that name, the default one for None; raises `ValueError`."""
    try:
        return PROVIDERS[name or DEFAULT]
    except KeyError:
        raise ValueError(f"{name!r} is not one of: {', '.join(names())}") from None
