"""The clock of a machine, stepped forward, and put back to where it would be by itself.

The kernel's time since boot goes on whatever the clock says, so the difference between the two is
what a step changes. Something that keeps the time (an NTP client) would undo the step; the boxes
made here have none, and the check says so where a box brought one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses, machines
from harness.changes.kind import DirectChange, OnMachine
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_success
from harness.vocabulary.fields import Within, duration_text

# $1: seconds between boot and epoch that the clock is to have; awk writes no exponents with %.3f.
_SET = """\
now=$(awk -v offset="$1" '{ printf "%.3f", $1 + offset }' /proc/uptime)
exec date -s "@$now"
"""
_READ = "exec echo $(date +%s.%N) $(cat /proc/uptime)"
# Between the two readings of one look passes a program's start; a busy machine needs a while.
TOLERANCE = Decimal(2)


class ClockStep(OnMachine, DirectChange):
    """Step a machine's clock. Needs a kernel of its own."""

    kind: ClassVar[str] = "clock_step"
    needs_own_kernel: ClassVar[bool] = True
    body: ClassVar[str] = "{machine: MACHINE, by: 30m}"
    does: ClassVar[str] = "steps a machine's clock; on VMs only"

    by: Within
    """How far forward, as in 30m."""

    def describe(self) -> str:
        return f"step the clock of {self.machine} by {duration_text(self.by)}"

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return tuple(offset_probe(machine) for machine in machines(self.machine, addresses))

    def action(self, addresses: Addresses, before: Before) -> Action:
        where = machines(self.machine, addresses)
        was = {machine: before.value(offset_probe(machine)) for machine in where}
        step = Decimal(str(self.by))
        return Action(
            text=f"step the clock of {', '.join(where)} by {step.normalize():f} s",
            do=tuple(_set(machine, was[machine] + step) for machine in where),
            undo=tuple(
                part
                for machine in where
                for part in (
                    _set(machine, was[machine]),
                    _check(machine, was[machine], "as before"),
                )
            ),
            check=tuple(
                _check(machine, was[machine] + step, f"{step.normalize():f} s ahead")
                for machine in where
            ),
        )


def offset_probe(machine: str) -> Probe[Decimal]:
    """Return the probe of a clock's seconds since the epoch at which the machine booted."""
    return Probe("clock_offset", machine, ("sh", "-c", _READ), parse_offset)


def parse_offset(reading: Reading) -> Decimal:
    """Return the difference between the clock and the time since boot, in seconds."""
    clock, uptime, _ = require_success(reading).split()
    return Decimal(clock) - Decimal(uptime)


def _set(machine: str, offset: Decimal) -> Command:
    return Command(machine, ("sh", "-c", _SET, "sh", f"{offset:.3f}"))


def _check(machine: str, wanted: Decimal, how: str) -> Check:
    def wrong(offset: Decimal) -> str | None:
        away = offset - wanted
        if abs(away) <= TOLERANCE:
            return None
        return f"it is {away:.1f} s away from that; an NTP client may have set it"

    return Check(f"the clock of {machine} is {how}", offset_probe(machine), wrong)
