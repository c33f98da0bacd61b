"""What the harness's own packet filter on a machine has dropped, by where it was going.

The lab layer installs the table (`harness.lab.isolation`); its counters show which packets tried
to leave the lab by the NAT interface. They are evidence of where traffic went, never its cause.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.evidence.reading import Reading
from harness.probe.core import Asked, MachineProbe, require_json

# The table's name, as the lab installs it.
MACHINE_TABLE = "k0s_harness_lab"


def parse(reading: Reading) -> Mapping[str, int]:
    """Return packets dropped by counter name."""
    return {
        entry["counter"]["name"]: entry["counter"]["packets"]
        for entry in require_json(reading)["nftables"]
        if "counter" in entry
    }


PROBE = MachineProbe(
    "isolation",
    ("nft", "-j", "list", "counters", "table", "inet", MACHINE_TABLE),
    parse,
    Asked.LAB_CONTROLLERS,
    sudo=True,
)
