"""What went wrong while a lab was removed is said in the words of what failed."""

from __future__ import annotations

from harness.base.completed import CommandFailedError, Completed
from harness.state.removal import each

# Of docker 28.2.2 with its engine stopped, 2026-11-23.
DOWN = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?\n"
)


def test_a_removal_that_failed_says_what_the_program_said():
    def containers():
        done = Completed(("docker", "ps"), 1, "", DOWN, 0.0)
        raise CommandFailedError("Listing containers", done)

    removed = []
    (problem,) = each(
        [("containers", containers), ("folder", lambda: removed.append("folder"))],
        lambda *_: None,
    )
    assert problem == (
        "containers: Listing containers: docker's daemon does not answer at"
        f" unix:///var/run/docker.sock: {DOWN.strip()}"
    )
    assert removed == ["folder"]


def test_a_removal_that_the_system_refused_says_so():
    def folder():
        raise PermissionError(13, "Permission denied", "/state")

    assert each([("folder", folder)], lambda *_: None) == [
        "folder: [Errno 13] Permission denied: '/state'"
    ]
