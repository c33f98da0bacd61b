"""Images in a worker's containerd, which k0s brings along with its own `ctr`."""

from __future__ import annotations

from dataclasses import dataclass

from harness.base.errors import InconclusiveError
from harness.change.addresses import Addresses, machines
from harness.change.model import Action, Before, Check, Command
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_success
from harness.scenario import changes

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


def images_probe(machine: str) -> Probe[tuple[Image, ...]]:
    """Return the probe of the images that a worker's kubelet can start."""
    argv = (*_CTR, "list")
    return Probe("images", machine, argv, parse_images, sudo=True, deadline=CTR_SECONDS)


def parse_images(reading: Reading) -> tuple[Image, ...]:
    """Return the images; columns are reference, type, digest and more, below a heading."""
    rows = [line.split() for line in require_success(reading).splitlines()[1:] if line.strip()]
    return tuple(Image(row[0], row[2]) for row in rows)


def looks(change: changes.RemoveImage, addresses: Addresses) -> tuple[Probe[object], ...]:
    """Return what is to be read before: the images."""
    return tuple(images_probe(machine) for machine in machines(change.machine, addresses))


def action(change: changes.RemoveImage, addresses: Addresses, before: Before) -> Action:
    """Return the action: all names of the image go, its digests included.

    Containers that run go on; it is their successors that find no image.
    """
    commands: list[Command] = []
    checks: list[Check] = []
    where = machines(change.machine, addresses)
    for machine in where:
        images = before.value(images_probe(machine))
        digests = {image.digest for image in images if image.name == change.image}
        if not digests:
            there = ", ".join(sorted({image.name for image in images} - {"sha256"}))
            raise InconclusiveError(
                f"Removing the image {change.image} from {machine}", f"it has none; it has {there}"
            )
        references = tuple(image.reference for image in images if image.digest in digests)
        # Synchronous: the check right after it would still see them.
        remove = (*_CTR, "remove", "--sync", *references)
        commands.append(Command(machine, remove, deadline=CTR_SECONDS))
        checks.append(_check(machine, change.image))
    text = f"remove the image {change.image} from {', '.join(where)}"
    return Action(text, tuple(commands), (), tuple(checks))


def _check(machine: str, name: str) -> Check:
    def wrong(images: tuple[Image, ...]) -> str | None:
        left = [image.reference for image in images if image.name == name]
        return f"{left[0]} is there" if left else None

    return Check(f"{machine} has no image {name}", images_probe(machine), wrong)
