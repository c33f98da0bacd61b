"""What a firewall change stops, with its places resolved on this cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from harness.base.errors import InconclusiveError
from harness.change.addresses import Addresses, resolve
from harness.scenario import changes
from harness.vocabulary.words import Answer, Hook, Protocol


@dataclass(frozen=True)
class Stop:
    """A firewall change with its places resolved; `service` when the destination is a Service's."""

    hook: Hook
    answer: Answer
    protocols: tuple[Protocol, ...]
    port: int | None
    sources: tuple[IPv4Network, ...]
    destinations: tuple[IPv4Network, ...]
    service: bool
    interface: str | None
    longer_than: int | None

    @property
    def tcp(self) -> bool:
        """Whether TCP connections are among what is stopped."""
        return not self.protocols or Protocol.TCP in self.protocols

    def text(self) -> str:
        """Return the rule in a few words."""
        words = [self.hook.value, *("/".join(self.protocols) or "everything").split()]
        if self.port is not None:
            words += ["to port", str(self.port)]
        if self.sources:
            words += ["from", names(self.sources)]
        if self.destinations:
            words += ["to", names(self.destinations)]
        if self.interface is not None:
            words += ["through", self.interface]
        if self.longer_than is not None:
            words += [f"longer than {self.longer_than} bytes"]
        return " ".join([*words, "gets", self.answer.value])


def stop_of(change: changes.Firewall, addresses: Addresses) -> Stop:
    """Return the change with its places resolved.

    Raises `InconclusiveError` for a place that was not seen, and for a TCP reset of something else.
    """
    protocols: tuple[Protocol, ...] = () if change.protocol is None else (change.protocol,)
    if change.answer is Answer.RESET:
        if change.protocol is Protocol.UDP:
            raise InconclusiveError("Making a firewall rule", "only TCP can be answered by a reset")
        protocols = (Protocol.TCP,)
    elif change.port is not None and not protocols:
        protocols = (Protocol.TCP, Protocol.UDP)
    destinations = () if change.destination is None else resolve(change.destination, addresses)
    services = addresses.services
    return Stop(
        hook=change.hook,
        answer=change.answer,
        protocols=protocols,
        port=change.port,
        sources=() if change.source is None else resolve(change.source, addresses),
        destinations=destinations,
        service=services is not None
        and bool(destinations)
        and all(each.subnet_of(services) for each in destinations),
        interface=change.interface,
        longer_than=change.longer_than,
    )


def names(members: Sequence[object]) -> str:
    """Return the members as a list in words, which is nft's form, too."""
    return ", ".join(str(each) for each in members)
