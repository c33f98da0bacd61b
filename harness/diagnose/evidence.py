"""Hops made of facts: state, words, the command that shows it and the tail of what it printed."""

from __future__ import annotations

from harness.diagnose.facts import Facts
from harness.diagnose.model import HOP_NAMES, Hop, HopId, HopState
from harness.evidence.reading import Reading

# Enough to see what a sentence rests on; the whole text is in the readings.
_RAW_LINES = 12
_RAW_CHARACTERS = 900
# Names and addresses of a hundred nodes; a sentence is for people, and stands in several places.
_TEXT_CHARACTERS = 4000


def holds(facts: Facts, hop: HopId, text: str, probe: str, where: str | None = None) -> Hop:
    """Return a hop that holds, shown by `probe`."""
    return _hop(facts, hop, HopState.HOLDS, text, (probe, where))


def broken(facts: Facts, hop: HopId, text: str, probe: str, where: str | None = None) -> Hop:
    """Return a hop that is broken, shown by `probe`."""
    return _hop(facts, hop, HopState.BROKEN, text, (probe, where))


def not_seen(facts: Facts, hop: HopId, probe: str, where: str | None = None) -> Hop:
    """Return a hop of which nothing can be said, with the reason."""
    return _hop(facts, hop, HopState.NOT_SEEN, facts.why_unseen(probe, where), (probe, where))


def edited(changes: tuple[str, ...]) -> str:
    """Return, as the end of a sentence, what somebody changed in an object that k0s applied."""
    return f"; not as k0s applied it: {', '.join(changes)}" if changes else ""


def tail(reading: Reading) -> str:
    """Return the end of what a look printed, or the error it ended with."""
    text = reading.stdout.strip() or reading.stderr.strip() or reading.error or ""
    lines = "\n".join(text.splitlines()[-_RAW_LINES:])
    return lines if len(lines) <= _RAW_CHARACTERS else "…" + lines[-_RAW_CHARACTERS:]


def _hop(facts: Facts, hop: HopId, state: HopState, text: str, look: tuple[str, str | None]) -> Hop:
    reading = facts.reading(*look)
    return Hop(
        hop,
        HOP_NAMES[hop],
        state,
        text if len(text) <= _TEXT_CHARACTERS else f"{text[:_TEXT_CHARACTERS]}…",
        facts.command(*look),
        tail(reading) if reading is not None else "",
    )
