"""VirtualBox's part of labs: what it makes of a record, and how that goes.

Vagrant makes its networks, and it keeps its machines per user, so no other user's are seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.context import Context, Narrate
from harness.images.seed import Seed
from harness.providers.backend import Backend
from harness.providers.boxed import BoxedMachines
from harness.providers.topology import MachineSpec
from harness.providers.virtualbox.vboxmanage import VirtualBox
from harness.state.owner import Owner
from harness.state.records import LabRecord
from harness.state.removal import Step, each


class VirtualBoxBackend(Backend):
    """VMs that are named after the run."""

    def substrate(
        self,
        record: LabRecord,
        context: Context,
        machines: Sequence[MachineSpec],
        *,
        seed: Seed | None,
        emulated: bool,
    ) -> BoxedMachines:
        """Return what makes the VMs of `record`."""
        return BoxedMachines(record, context, machines, seed=seed, emulated=emulated)

    def sweep(
        self, whose: Owner, context: Context, narrate: Narrate, record: LabRecord | None
    ) -> list[str]:
        """Remove the machines named after the run, and the interface of its private network."""
        virtualbox = VirtualBox(context.runner)
        steps: list[Step] = [("machines", lambda: virtualbox.destroy(whose.run_id))]
        if record is not None:
            private = record.networks.private.ipv4
            steps.append(("networks", lambda: virtualbox.remove_host_only(private)))
        return each(steps, narrate)


BACKEND = VirtualBoxBackend()
