"""Removing what a run left in VirtualBox, by the names that follow from its id.

Written after VirtualBox's manual; it has not been run (docs/status.md). VirtualBox keeps its
machines per user, so there are no other users' to spare.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network

from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.host.subnets import gateway

ASK_SECONDS = 30.0
CHANGE_SECONDS = 120.0


class VirtualBox:
    """The VBoxManage command line."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def machines(self, run_id: RunId) -> tuple[str, ...]:
        """Return the machines that are named after the run, running or not."""
        return self._names("vms", run_id)

    def destroy(self, run_id: RunId) -> None:
        """Stop the machines that are named after the run and remove them with their disks."""
        for name in self._names("runningvms", run_id):
            self._change("controlvm", name, "poweroff", doing=f"Stopping {name}")
        for name in self.machines(run_id):
            self._change("unregistervm", name, "--delete", doing=f"Removing {name}")

    def remove_host_only(self, subnet: IPv4Network) -> None:
        """Remove the host-only interface that has the host's own address in `subnet`."""
        listed = self._ask("list", "hostonlyifs", doing="Listing host-only interfaces")
        # One block an interface; its name comes before its address.
        pairs = re.findall(
            r"^Name:\s+(vboxnet\d+)\n(?:.+\n)*?IPAddress:\s+([\d.]+)$", listed, re.MULTILINE
        )
        for name, address in pairs:
            if address == str(gateway(subnet)):
                self._change("hostonlyif", "remove", name, doing=f"Removing {name}")

    def _names(self, kind: str, run_id: RunId) -> tuple[str, ...]:
        listed = self._ask("list", kind, doing="Listing VirtualBox's machines")
        # "name" {uuid}
        names = re.findall(r'^"(.+)" \{', listed, re.MULTILINE)
        return tuple(name for name in names if RunId.of_machine(name) == run_id)

    def _ask(self, *args: str, doing: str) -> str:
        return self._runner.run(
            ["VBoxManage", *args], doing=doing, deadline=ASK_SECONDS, env={"LC_ALL": "C"}
        ).stdout

    def _change(self, *args: str, doing: str) -> None:
        self._runner.run(
            ["VBoxManage", *args], doing=doing, deadline=CHANGE_SECONDS, env={"LC_ALL": "C"}
        )
