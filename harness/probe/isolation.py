"""What the harness's own packet filter on a machine has dropped, by where it was going.

The lab layer installs the table (`harness.lab.isolation`); its counters show which packets tried
to leave the lab by the NAT interface. They are evidence of where traffic went, never its cause.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_json

MACHINE_TABLE = "k0s_harness_lab"


def probe(machine: str) -> Probe[Mapping[str, int]]:
    """Return the probe of the table's named counters."""
    argv = ("nft", "-j", "list", "counters", "table", "inet", MACHINE_TABLE)
    return Probe("isolation", machine, argv, parse, sudo=True)


def parse(reading: Reading) -> Mapping[str, int]:
    """Return packets dropped by counter name."""
    return {
        entry["counter"]["name"]: entry["counter"]["packets"]
        for entry in require_json(reading)["nftables"]
        if "counter" in entry
    }
