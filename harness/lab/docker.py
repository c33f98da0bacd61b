"""What the lab asks of the docker engine beside Vagrant: networks, and what carries our labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from harness.process import Completed
from harness.process import Runner

LABEL_RUN = "io.k0s-harness.run"
LABEL_USER = "io.k0s-harness.user"
LABEL_STATE = "io.k0s-harness.state"
LABEL_RECIPE = "io.k0s-harness.recipe"

# The engine answers in a tenth of a second; on a host busy with image layers it took eight.
COMMAND_SECONDS = 60.0
# `docker rm -f -v` of a machine with a cluster on it: its /var holds a gigabyte of images.
REMOVE_SECONDS = 120.0


@dataclass(frozen=True)
class Owner:
    """Whose a container or a network is, from its labels: the run, the user, the state folder."""

    run_id: str
    user: str
    state_folder: str


@dataclass(frozen=True)
class Container:
    """A container of a lab: its id, its name, and whose it is."""

    id: str
    name: str
    owner: Owner


class Docker:
    """The docker command line, asked for machine-readable answers."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def run(
        self,
        *args: str,
        doing: str,
        deadline: float = COMMAND_SECONDS,
        check: bool = True,
    ) -> Completed:
        """Run `docker args`; raise `CommandFailedError` for a status other than 0 with `check`."""
        return self._runner.run(["docker", *args], doing=doing, deadline=deadline, check=check)

    def create_network(
        self,
        name: str,
        *,
        bridge: str,
        subnet: IPv4Network,
        gateway: str,
        labels: Mapping[str, str],
    ) -> None:
        """Create an ordinary bridge network with the bridge's name given.

        Not `--internal`: its filter drops packets whose source is a pod's address.
        """
        self.run(
            "network",
            "create",
            "--driver=bridge",
            f"--subnet={subnet}",
            f"--gateway={gateway}",
            f"--opt=com.docker.network.bridge.name={bridge}",
            *(f"--label={key}={value}" for key, value in labels.items()),
            name,
            doing=f"Creating the network {name}",
        )

    def containers(self, run_id: str | None = None) -> tuple[Container, ...]:
        """Return all containers of labs on this host, or those of one run."""
        rows = self._rows("ps", ("{{.ID}}", "{{.Names}}"), run_id, "--all", "--no-trunc")
        return tuple(Container(row[0], row[1], Owner(*row[2:])) for row in rows)

    def network_owners(self) -> tuple[Owner, ...]:
        """Return whose networks there are, of all labs on this host."""
        return tuple(Owner(*row) for row in self._rows("network", (), None, subcommand="ls"))

    def remove_containers(self, ids: Sequence[str]) -> None:
        """Remove containers with the volumes that have no name of their own."""
        if ids:
            self.run(
                "rm",
                "--force",
                "--volumes",
                *ids,
                doing="Removing containers",
                deadline=REMOVE_SECONDS,
            )

    def named(self, kind: str, run_id: str) -> tuple[str, ...]:
        """Return the names of the run's `network`s or `volume`s."""
        done = self.run(
            kind,
            "ls",
            f"--filter=label={LABEL_RUN}={run_id}",
            "--format={{.Name}}",
            doing=f"Listing the run's {kind}s",
        )
        return tuple(done.stdout.split())

    def remove_named(self, kind: str, names: Sequence[str]) -> None:
        """Remove `network`s or `volume`s by name."""
        if names:
            self.run(kind, "rm", *names, doing=f"Removing {kind}s", deadline=REMOVE_SECONDS)

    def _rows(
        self,
        command: str,
        columns: Sequence[str],
        run_id: str | None,
        *options: str,
        subcommand: str | None = None,
    ) -> tuple[list[str], ...]:
        """Return one list of texts for each of our objects: `columns`, then its owner's labels."""
        wanted = LABEL_RUN if run_id is None else f"{LABEL_RUN}={run_id}"
        labels = (f'{{{{.Label "{label}"}}}}' for label in (LABEL_RUN, LABEL_USER, LABEL_STATE))
        done = self.run(
            *([command, subcommand] if subcommand else [command]),
            *options,
            f"--filter=label={wanted}",
            "--format",
            "\t".join((*columns, *labels)),
            doing="Listing what labs have on this host",
        )
        return tuple(line.split("\t") for line in done.stdout.splitlines() if line)

    def subnets(self) -> tuple[IPv4Network, ...]:
        """Return the IPv4 subnets of all networks there are."""
        names = self.run(
            "network", "ls", "--quiet", "--no-trunc", doing="Listing docker's networks"
        ).stdout.split()
        found: list[IPv4Network] = []
        for name in names:
            # One by one: a network that goes away between listing and asking costs only itself.
            done = self.run(
                "network",
                "inspect",
                "--format={{json .IPAM.Config}}",
                name,
                doing="Reading docker's networks",
                check=False,
            )
            found += _subnets(json.loads(done.stdout)) if done.ok else ()
        return tuple(found)

    def image_id(self, tag: str) -> str | None:
        """Return the id (`sha256:…`) of the image `tag`, None where there is none."""
        done = self.run(
            "image",
            "inspect",
            "--format={{.Id}}",
            tag,
            doing=f"Looking for the image {tag}",
            check=False,
        )
        return done.stdout.strip() if done.ok else None

    def logs(self, container: str, lines: int) -> str:
        """Return the tail of what a container printed, both streams."""
        done = self.run(
            "logs", f"--tail={lines}", container, doing=f"Reading {container}'s output", check=False
        )
        return done.stdout + done.stderr


def _subnets(config: Any) -> list[IPv4Network]:  # noqa: ANN401  # JSON as docker prints it
    return [
        IPv4Network(entry["Subnet"])
        for entry in config or []
        if "Subnet" in entry and ":" not in entry["Subnet"]
    ]
