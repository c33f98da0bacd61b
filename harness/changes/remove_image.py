"""Images in a worker's containerd, which k0s brings along with its own `ctr`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses, machines
from harness.changes.kind import DirectChange, OnMachine, Undo
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_success
from harness.vocabulary.fields import ImageName, MachineName

_CTR = ("k0s", "ctr", "--namespace", "k8s.io", "images")
# containerd answers at once; k0s unpacks nothing for `ctr`, but is a program of 250 MB to start.
CTR_SECONDS = 30.0


@dataclass(frozen=True)
class Image:
    """One name of an image: `reference` as containerd has it, and the digest it points to."""

    reference: str
    digest: str

    @property
    def name(self) -> str:
        """The last part of the name, without tag and digest."""
        return self.reference.rpartition("/")[2].partition("@")[0].partition(":")[0]


class RemoveImage(OnMachine, DirectChange):
    """Remove an image from a worker's containerd; with the bundle's pull policy none comes back."""

    kind: ClassVar[str] = "remove_image"
    undo: ClassVar[Undo] = "none"
    needs_kubelet: ClassVar[bool] = True
    body: ClassVar[str] = "{machine: MACHINE, image: metrics-server}"
    does: ClassVar[str] = "removes an image, by the last part of its name"

    machine: MachineName
    """Name of the worker, as in worker0; or `workers`, for all of them."""

    image: ImageName
    """Last part of its name, as in metrics-server."""

    def describe(self) -> str:
        return f"remove the image {self.image} from {self.machine}"

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return tuple(images_probe(machine) for machine in machines(self.machine, addresses))

    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the action: all names of the image go, its digests included.

        Containers that run go on; it is their successors that find no image.
        """
        commands: list[Command] = []
        checks: list[Check] = []
        where = machines(self.machine, addresses)
        for machine in where:
            images = before.value(images_probe(machine))
            digests = {image.digest for image in images if image.name == self.image}
            if not digests:
                there = ", ".join(sorted({image.name for image in images} - {"sha256"}))
                raise InconclusiveError(
                    f"Removing the image {self.image} from {machine}",
                    f"it has none; it has {there}",
                )
            references = tuple(image.reference for image in images if image.digest in digests)
            # Synchronous: the check right after it would still see them.
            remove = (*_CTR, "remove", "--sync", *references)
            commands.append(Command(machine, remove, deadline=CTR_SECONDS))
            checks.append(_check(machine, self.image))
        text = f"remove the image {self.image} from {', '.join(where)}"
        return Action(text, tuple(commands), (), tuple(checks))


def images_probe(machine: str) -> Probe[tuple[Image, ...]]:
    """Return the probe of the images that a worker's kubelet can start."""
    argv = (*_CTR, "list")
    return Probe("images", machine, argv, parse_images, sudo=True, deadline=CTR_SECONDS)


def parse_images(reading: Reading) -> tuple[Image, ...]:
    """Return the images; columns are reference, type, digest and more, below a heading."""
    rows = [line.split() for line in require_success(reading).splitlines()[1:] if line.strip()]
    return tuple(Image(row[0], row[2]) for row in rows)


def _check(machine: str, name: str) -> Check:
    def wrong(images: tuple[Image, ...]) -> str | None:
        left = [image.reference for image in images if image.name == name]
        return f"{left[0]} is there" if left else None

    return Check(f"{machine} has no image {name}", images_probe(machine), wrong)
