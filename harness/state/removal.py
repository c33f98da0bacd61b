"""Removing step by step, and the one place that removes folders, and what it refuses.

A removal that runs every night, often as root, must not be led astray by what was written down. So
it takes no path, but a folder that is known and the name of one in it. What lies there must be a
folder of this user's own, no link, with nothing mounted in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.base.context import Narrate
from harness.base.errors import HarnessError, InfrastructureError
from harness.base.own_files import folder_problem
from harness.base.run_id import RunId

_MOUNTS = Path("/proc/self/mountinfo")
# The field of a line in it that has the place (proc(5)), counted from 0.
_PLACE = 4

Step = tuple[str, Callable[[], None]]


class NotOursError(InfrastructureError):
    """What is in the place of something of ours is not ours, and stays."""


def remove_lab(labs_dir: Path, run_id: RunId) -> None:
    """Remove the folder of a lab; raises as `remove_folder`."""
    remove_folder(labs_dir, RunId(run_id))


def remove_folder(parent: Path, name: str) -> None:
    """Remove the folder `name` in `parent` and all in it; one that is not there is removed already.

    Links in it are removed and not followed. Raises `NotOursError` where something else lies there,
    `OSError` where it cannot be removed.
    """
    doing = f"Removing {parent / name}"
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise NotOursError(doing, f"{name!r} is no name of a folder")
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        # Through the descriptor: a link put in the parent's place meanwhile leads nowhere.
        problem = folder_problem(Path(name), parent=descriptor)
        if problem is None and _is_mounted_in(Path(f"/proc/self/fd/{descriptor}").resolve() / name):
            problem = "something is mounted in it"
        if problem is not None:
            raise NotOursError(doing, problem, remedy="look at it, and remove it by hand")
        shutil.rmtree(name, dir_fd=descriptor)
    except FileNotFoundError:
        return
    except RecursionError:
        raise InfrastructureError(doing, "its folders are too deep in one another") from None
    finally:
        os.close(descriptor)


def _is_mounted_in(path: Path) -> bool:
    """Return whether `path` or anything below it is the place of another file system."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    places = (_unescaped(line.split(" ")[_PLACE]) for line in lines)
    return any(Path(place).is_relative_to(path) for place in places)


def _unescaped(place: str) -> str:
    """Return the path that the kernel wrote with blanks and backslashes as octal numbers."""
    return place.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def each(steps: Sequence[Step], narrate: Narrate) -> list[str]:
    """Take all steps, whatever became of the others; return what went wrong, in words."""
    problems = []
    for what, step in steps:
        narrate(what, "removing")
        try:
            step()
        except HarnessError as problem:
            # The program's own last words, where it had any: "exit status 1" helps nobody.
            said = (problem.details or "").splitlines()[-1:]
            problems.append(": ".join([what, str(problem), *said]))
        except OSError as problem:
            problems.append(f"{what}: {problem}")
    return problems
