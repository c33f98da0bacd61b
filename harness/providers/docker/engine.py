"""What the lab asks of the docker engine beside Vagrant: networks, and what carries our labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Any

from harness.base.completed import Completed
from harness.base.errors import InfrastructureError
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.base.untrusted import MIB, Limits, json_value
from harness.state.owner import LABEL_RUN, LABEL_STATE, LABEL_USER

LABEL_RECIPE = "io.k0s-harness.recipe"

# The engine answers in a tenth of a second; on a host busy with image layers it took eight.
COMMAND_SECONDS = 60.0
# `docker rm -f -v` of a machine with a cluster on it: its /var holds a gigabyte of images.
REMOVE_SECONDS = 120.0


class ObjectKind(StrEnum):
    """What docker makes for a run, by the word of its command."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"


# How each kind is listed: the command, and what it calls the id that removes one. A volume has none
# but its name.
_LISTED = {
    ObjectKind.CONTAINER: (("ps", "--all", "--no-trunc"), ".ID", ".Names"),
    ObjectKind.NETWORK: (("network", "ls", "--no-trunc"), ".ID", ".Name"),
    ObjectKind.VOLUME: (("volume", "ls"), ".Name", ".Name"),
}
_REMOVED = {
    ObjectKind.CONTAINER: ("rm", "--force", "--volumes"),
    ObjectKind.NETWORK: ("network", "rm"),
    ObjectKind.VOLUME: ("volume", "rm"),
}
_LABELS = (LABEL_RUN, LABEL_USER, LABEL_STATE)
# A name, an id and three labels. Labels may be long: the engine sets no bound.
_LINE = Limits("a line of docker's", most_bytes=MIB, most_levels=2, most_values=20)


@dataclass(frozen=True)
class Labelled:
    """A container, network or volume that says by a label that it is a run's.

    What the labels say is whatever somebody wrote there.
    """

    kind: ObjectKind
    id: str
    name: str
    run: str
    user: str
    state_folder: str

    @property
    def labels(self) -> Mapping[str, str]:
        """What it is labelled with, of what the harness labels."""
        return {LABEL_RUN: self.run, LABEL_USER: self.user, LABEL_STATE: self.state_folder}


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
            *("network", "create", "--driver=bridge", f"--subnet={subnet}", f"--gateway={gateway}"),
            f"--opt=com.docker.network.bridge.name={bridge}",
            *(f"--label={key}={value}" for key, value in labels.items()),
            name,
            doing=f"Creating the network {name}",
        )

    def labelled(self, kind: ObjectKind, run_id: RunId | None = None) -> tuple[Labelled, ...]:
        """Return what carries our label on this host, of all runs or of one."""
        command, identifier, name = _LISTED[kind]
        wanted = LABEL_RUN if run_id is None else f"{LABEL_RUN}={run_id}"
        fields = [identifier, name, *(f'(.Label "{label}")' for label in _LABELS)]
        done = self.run(
            *command,
            f"--filter=label={wanted}",
            "--format",
            # As JSON: a label may hold line breaks and tabs, and with them what looks like a line.
            f"[{','.join(f'{{{{json {field}}}}}' for field in fields)}]",
            doing="Listing what labs have on this host",
        )
        return tuple(_labelled(kind, line) for line in done.stdout.splitlines() if line)

    def remove(self, things: Sequence[Labelled]) -> None:
        """Remove things of one kind; containers with the volumes that have no name of their own."""
        if things:
            kind = things[0].kind
            self.run(
                *_REMOVED[kind],
                *(thing.id for thing in things),
                doing=f"Removing {kind}s",
                deadline=REMOVE_SECONDS,
            )

    def subnets(self) -> tuple[IPv4Network, ...]:
        """Return the IPv4 subnets of all networks there are."""
        names = self.run(
            "network", "ls", "--quiet", "--no-trunc", doing="Listing docker's networks"
        ).stdout.split()
        found: list[IPv4Network] = []
        for name in names:
            # One by one: a network that goes away between listing and asking costs only itself.
            done = self.run(
                *("network", "inspect", "--format={{json .IPAM.Config}}", name),
                doing="Reading docker's networks",
                check=False,
            )
            found += _subnets(json.loads(done.stdout)) if done.ok else ()
        return tuple(found)

    def image_id(self, tag: str) -> str | None:
        """Return the id (`sha256:…`) of the image `tag`, None where there is none."""
        done = self.run(
            *("image", "inspect", "--format={{.Id}}", tag),
            doing=f"Looking for the image {tag}",
            check=False,
        )
        return done.stdout.strip() if done.ok else None

    def tag_again(self, tag: str) -> None:
        """Say that the image `tag` is taken now: the engine remembers when it was tagged last."""
        self.run("image", "tag", tag, tag, doing=f"Taking the image {tag}")

    def tagged(self, repository: str) -> Mapping[str, datetime]:
        """Return the images in `repository` that the harness made, and when each was last tagged.

        Each by its tag.
        """
        done = self.run(
            *("image", "ls", "--format={{.Repository}}:{{.Tag}}", f"--filter=label={LABEL_RECIPE}"),
            repository,
            doing="Listing the images of machines",
        )
        asked = "--format={{json .Metadata.LastTagTime}}"
        found = {}
        for tag in done.stdout.split():
            # One by one: an image that goes away meanwhile costs only itself.
            at = self.run(
                "image", "inspect", asked, tag, doing=f"Looking at the image {tag}", check=False
            )
            if at.ok:
                found[tag] = datetime.fromisoformat(json.loads(at.stdout))
        return found

    def remove_images(self, tags: Sequence[str]) -> None:
        """Remove images; those that a container is made of stay."""
        for tag in tags:
            self.run(
                *("image", "rm", tag),
                doing=f"Removing the image {tag}",
                deadline=REMOVE_SECONDS,
                check=False,
            )

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


def _labelled(kind: ObjectKind, line: str) -> Labelled:
    try:
        fields = json_value(line, _LINE)
        identifier, name, run, user, state_folder = fields
        # A container that another is linked to has that one's name for it as well, with a slash.
        (name,) = (each for each in name.split(",") if "/" not in each)
        return Labelled(kind, str(identifier), name, str(run), str(user), str(state_folder))
    except (ValueError, TypeError, AttributeError) as odd:
        raise InfrastructureError(
            f"Listing {kind}s of labs", f"docker's answer cannot be read: {odd}"
        ) from odd
