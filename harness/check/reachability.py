"""Whether the way is whole: new connections over the path in use, none of which may fail.

Holding the condition alone would see a mesh with one of two agents cut off in about 3 % of cases,
since one of five parallel tries is enough for `Available=True`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.check.model import Judgement
from harness.check.model import Verdict
from harness.probe.controlplane import TunnelServer
from harness.probe.dials import Dials

# New connections per path. With one of two agents cut off each is lost with probability 1/2.
CONNECTIONS = 20


def judge(
    dials: Sequence[Dials], before: TunnelServer | None, after: TunnelServer | None
) -> Judgement:
    """Return met, not met (partial) or inconclusive; never an open judgement.

    `before` and `after` are the konnectivity server's figures around the round, both None where
    konnectivity is off.
    """
    if not dials:
        text = "no connection was tried over the path in use"
        return Judgement(Verdict.INCONCLUSIVE, text, text)
    failed = [found for found in dials if not found.all_connected]
    if failed:
        text = "partial: " + "; ".join(found.text() for found in failed)
        return Judgement(Verdict.NOT_MET, text, text)
    if sum(found.connected for found in dials) < CONNECTIONS:
        text = f"fewer than {CONNECTIONS} connections were tried"
        return Judgement(Verdict.INCONCLUSIVE, text, text)
    if before is not None and after is not None and after.dial_failures > before.dial_failures:
        grown = after.dial_failures - before.dial_failures
        text = f"partial: the konnectivity server counted {grown} failed dials meanwhile"
        return Judgement(Verdict.NOT_MET, text, text)
    text = "; ".join(found.text() for found in dials)
    return Judgement(Verdict.MET, text, text)


def combine(held: Judgement, connected: Judgement | None) -> Judgement:
    """Return a hold that was met as it stands with the round of connections, open until it ends."""
    if connected is None:
        return replace(held, verdict=None, explanation="connecting", decided_at=None)
    explanation = f"{held.explanation}; {connected.explanation}"
    return replace(held, verdict=connected.verdict, explanation=explanation)
