"""One machine of a lab, and what is done to it between its boot and k0s."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.base import untrusted
from harness.base.errors import InfrastructureError
from harness.base.untrusted import Limits
from harness.images.seed import SEED_FILE, Seed
from harness.lab import isolation
from harness.lab.isolation import IsolationReport
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.ssh.files import SshEndpoint
from harness.ssh.remote import Remote
from harness.vocabulary.words import Role

# A few files and two programs on a machine that has just booted.
COMMAND_SECONDS = 30.0
# The machines' description in the state folder.
SAVED = "machines.json"
_LIMITS = Limits("a lab's description", most_bytes=256 * 1024, most_levels=8)
_NONE = "this is not a lab's description"


@dataclass(frozen=True)
class Machine:
    """A machine: its name and role, its private address, the way in, and its two interfaces.

    `api` is `address:port` where this host reaches its API server, if k0s runs one there;
    `nat_address` what the machine has on its NAT interface.
    """

    name: str
    role: Role
    address: str
    endpoint: SshEndpoint
    api: str
    nat_interface: str
    nat_address: str
    private_interface: str


def prepare(
    spec: MachineSpec,
    remote: Remote,
    endpoint: SshEndpoint,
    api: str,
    request: LabRequest,
) -> Machine:
    """Isolate the machine, tell it the others' names, and return it with what it is.

    Raises `InfrastructureError` when its interfaces are not what was asked for, and when it was not
    made with the seed of `request`.
    """
    if request.seed is not None:
        _verify(request.seed, remote)
    links = remote.run(
        ["ip", "-j", "-4", "address"], doing="Reading the interfaces", deadline=COMMAND_SECONDS
    )
    routes = remote.run(
        ["ip", "-j", "-4", "route", "show", "default"],
        doing="Reading the default route",
        deadline=COMMAND_SECONDS,
    )
    addressed = json.loads(links.stdout)
    private = interface_with(addressed, spec.address)
    nat = default_interface(json.loads(routes.stdout))
    if private is None or nat is None or private == nat:
        raise InfrastructureError(
            f"Looking at {spec.name}",
            f"expected {spec.address} on a private interface and the default route on another; "
            f"found {private} and {nat}",
            details=links.stdout + routes.stdout,
        )
    rules = isolation.machine_rules(nat, services=request.services, pods=request.pods)
    isolation.install_on_machine(remote, rules)
    remote.put(hosts_file(request.machines), "/etc/hosts")
    return Machine(
        spec.name,
        spec.role,
        spec.address,
        endpoint,
        api,
        nat_interface=nat,
        nat_address=address_of(addressed, nat),
        private_interface=private,
    )


def _verify(seed: Seed, remote: Remote) -> None:
    said = remote.run(
        ["cat", SEED_FILE], doing="Reading what it was made with", deadline=COMMAND_SECONDS
    ).stdout
    if said != seed.text():
        raise InfrastructureError(
            f"Looking at {remote.name}",
            f"it was to be made with {seed.describe()}, and was not",
            details=said,
            remedy="k0s-harness box build makes its image again",
        )


def save(
    folder: Path, machines: Mapping[str, Machine], isolated: IsolationReport, pace: float
) -> None:
    """Write down what a later command needs to enter the lab."""
    data = {
        "pace": pace,
        "isolation": asdict(isolated),
        "machines": [
            {
                **asdict(found),
                "endpoint": {**asdict(found.endpoint), "key_path": str(found.endpoint.key_path)},
            }
            for found in machines.values()
        ],
    }
    (folder / SAVED).write_text(json.dumps(data, indent=2) + "\n")


@dataclass(frozen=True)
class _Saved:
    """What `save` writes."""

    pace: float
    isolation: IsolationReport
    machines: list[Machine]


def load(folder: Path) -> tuple[dict[str, Machine], IsolationReport, float]:
    """Return what `save` wrote; raise `InfrastructureError` where it cannot be read."""
    path = folder / SAVED
    try:
        text = untrusted.read_text(path, _LIMITS, own=True)
        untrusted.json_value(text, _LIMITS)
        saved = TypeAdapter(_Saved).validate_json(text, strict=True)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InfrastructureError(f"Reading {path}", f"{_NONE}: {what}") from None
    except (OSError, ValueError) as problem:
        raise InfrastructureError(f"Reading {path}", f"{_NONE}: {problem}") from problem
    return {found.name: found for found in saved.machines}, saved.isolation, saved.pace


def interface_with(links: Any, address: str) -> str | None:  # noqa: ANN401  # JSON of `ip`
    """Return the interface that carries `address` in `ip -j address`, None where none does."""
    for link in links:
        if any(entry.get("local") == address for entry in link.get("addr_info", [])):
            return str(link["ifname"])
    return None


def address_of(links: Any, interface: str) -> str:  # noqa: ANN401  # JSON of `ip`
    """Return the first address of `interface` in `ip -j address`, an empty text without one."""
    addresses = [
        str(entry["local"])
        for link in links
        if link["ifname"] == interface
        for entry in link.get("addr_info", [])
    ]
    return next(iter(addresses), "")


def default_interface(routes: Any) -> str | None:  # noqa: ANN401  # JSON of `ip`
    """Return the interface of the first default route in `ip -j route`, None without one."""
    return str(routes[0]["dev"]) if routes else None


def hosts_file(everyone: Sequence[MachineSpec]) -> str:
    """Return /etc/hosts: a machine's name is its private address, also on itself.

    A name that stood for a loopback or a NAT address would become the kubelet's node address.
    """
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{spec.address} {spec.name}" for spec in everyone]
    return "".join(f"{line}\n" for line in lines)
