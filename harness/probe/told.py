"""What ends when the API tells of something new, in place of a look each second."""

from __future__ import annotations

from harness.probe.core import API, Probe

_NAME = "until-told:"


def until(look: str, *condition: str, seconds: int) -> Probe[None]:
    """Return what ends once `kubectl wait` sees the condition, or after so many whole seconds.

    `look` is the name of the probe that is looked at then.
    """
    argv = ("kubectl", "wait", *condition, f"--timeout={seconds}s")
    return Probe(f"{_NAME}{look}", API, argv, lambda _: None, deadline=2.0 * seconds)


def look_after(probe: Probe[None]) -> str:
    """Return the name of the probe that is looked at once `probe` has ended."""
    return probe.name.removeprefix(_NAME)
