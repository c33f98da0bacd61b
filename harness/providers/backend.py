"""What makes a provider's machines and removes them.

`harness.lab` takes the same steps on every provider and asks one of these for the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from importlib import import_module
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol, cast

from harness.base.context import Context, Narrate
from harness.base.process import Runner
from harness.providers.registry import provider
from harness.providers.substrate import LabRequest, Substrate
from harness.state.entries import LabEntry
from harness.state.owner import Owner
from harness.state.records import LabRecord


class Backend(ABC):
    """One provider's part of labs, from their first network to the last thing that is removed."""

    @abstractmethod
    def substrate(self, record: LabRecord, request: LabRequest, context: Context) -> Substrate:
        """Return its part in making the lab of `record`."""

    @abstractmethod
    def sweep(
        self, whose: Owner, context: Context, narrate: Narrate, record: LabRecord | None
    ) -> list[str]:
        """Remove all that a run made here, by labels, marks and names; return what stays, in words.

        It may be done again at any time: what is not there is as good as removed.
        """

    def seen(self, runner: Runner, labs_dir: Path) -> Iterable[LabEntry]:
        """Return what is here of labs, and what says falsely that it is."""
        return ()

    def networks(self, runner: Runner) -> Iterable[IPv4Network]:
        """Return the networks that are taken here, beside what this host's interfaces use."""
        return ()

    def record_host(self, state_dir: Path) -> None:
        """Write down what machines change of this host itself."""

    def restore_host(self, state_dir: Path, runner: Runner) -> None:
        """Put back what was written down, once no lab is left."""

    def tidy(self, context: Context) -> None:
        """Put right what a killed run left that is no lab's, while no machines are being made."""

    def restore_ways(
        self, record: LabRecord, ways: Mapping[int, tuple[str, int]], runner: Runner
    ) -> None:
        """Make sure that local ports lead where they led, where machines are on another host.

        `ways` has an address and a port for each.
        """

    def save(self, record: LabRecord, runner: Runner) -> None:
        """Keep how the running machines are, all as of one moment (`Provider.keeps_memory`)."""
        raise NotImplementedError

    def restore(self, record: LabRecord, runner: Runner) -> None:
        """Put the machines back to how they were saved, running or not; then they run."""
        raise NotImplementedError

    def stop(self, record: LabRecord, runner: Runner) -> None:
        """Turn the machines off; what was saved stays."""
        raise NotImplementedError


class _Module(Protocol):
    BACKEND: Backend


def backend(name: str) -> Backend:
    """Return the backend of the provider of that name; raises `ValueError` for none.

    It is imported when it is asked for: before that, a provider is looked at on hosts where only
    the standard library is.
    """
    return cast(_Module, import_module(provider(name).backend)).BACKEND
