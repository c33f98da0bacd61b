"""What a firewall change stops, with its places resolved on this cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

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


def names(members: Sequence[object]) -> str:
    """Return the members as a list in words, which is nft's form, too."""
    return ", ".join(str(each) for each in members)
