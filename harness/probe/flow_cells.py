"""One way to try in the matrix of flows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.base.places import with_port
from harness.vocabulary.words import Flow


class Payload(StrEnum):
    """What is sent once the connection is there."""

    HTTPS = "https"
    """TLS, then a request of 4 KB; any answer of a web server will do."""
    GRPC = "grpc"
    """The same to the konnectivity server, which is no web server and may just hang up."""
    DNS = "dns"
    """A DNS message of 18 KB, without TLS."""


@dataclass(frozen=True)
class FlowCell:
    """One way to try. `source` is the machine that it is tried from, or `api`.

    `containers` has ids of the pod whose network is entered, empty for the machine's own.
    `request` has kubectl's arguments where the API server is the one that connects. `missing` says
    why the way cannot be tried, `unneeded` why this cluster does not live on it.
    """

    flow: Flow
    source: str
    origin: str
    target: str
    address: str = ""
    port: int = 0
    payload: Payload = Payload.HTTPS
    containers: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    missing: str = ""
    unneeded: str = ""

    @property
    def tls(self) -> bool:
        """Whether TLS comes after the connection."""
        return self.payload is not Payload.DNS

    @property
    def label(self) -> str:
        """Return what the cell is called in readings, without white space."""
        at = with_port(self.address, self.port)
        name = f"{self.flow}|{self.source}|{self.origin}|{self.target}|{at}"
        return name.replace(" ", "_")
