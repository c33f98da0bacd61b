"""VirtualBox's part of labs: what it makes of a record, and how that goes.

Vagrant makes its networks, and it keeps its machines per user, so no other user's are seen.
"""

from __future__ import annotations

from harness.base.context import Context, Narrate
from harness.providers.backend import Backend
from harness.providers.boxed import BoxedMachines
from harness.providers.substrate import LabRequest
from harness.providers.virtualbox.vboxmanage import VirtualBox
from harness.state.owner import Owner
from harness.state.records import LabRecord
from harness.state.removal import Step, each


class VirtualBoxBackend(Backend):
    """VMs that are named after the run."""

    def substrate(self, record: LabRecord, request: LabRequest, context: Context) -> BoxedMachines:
        return BoxedMachines(record, request, context)

    def sweep(
        self, whose: Owner, context: Context, narrate: Narrate, record: LabRecord | None
    ) -> list[str]:
        virtualbox = VirtualBox(context.runner)
        steps: list[Step] = [("machines", lambda: virtualbox.destroy(whose.run_id))]
        if record is not None:
            private = record.networks.private.ipv4
            steps.append(("networks", lambda: virtualbox.remove_host_only(private)))
        return each(steps, narrate)


BACKEND = VirtualBoxBackend()
