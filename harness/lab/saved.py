"""A lab as it was at one moment, memory included: what its machines are put back to.

Where the provider keeps such a state (`Provider.keeps_memory`); one a lab, which goes with it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from harness.base.context import Context
from harness.base.errors import HarnessError
from harness.base.wait import wait_until
from harness.lab import leftovers
from harness.lab.lab import Lab
from harness.lab.reservation import files_written
from harness.providers.backend import backend
from harness.ssh import files as ssh_files
from harness.ssh.remote import Remote
from harness.state.records import KUBECONFIG, SAVED_KUBECONFIG

# A machine that was just put back has other things to do: on a busy host an emulated one did not
# finish a connection within 15 s.
ANSWER_SECONDS = 60.0
ANSWER_EVERY_SECONDS = 1.0
CLOCK_SECONDS = 60.0


def save(lab: Lab, context: Context) -> None:
    """Keep how the machines are now; raises `InfrastructureError` where that fails."""
    with _cut_off(lab, context):
        backend(lab.record.provider).save(lab.record, context.runner)
    with files_written():
        shutil.copy2(lab.folder / KUBECONFIG, lab.folder / SAVED_KUBECONFIG)


def restore(lab: Lab, context: Context) -> None:
    """Put the machines back to how they were saved, whatever was done to them since.

    Their clocks show this host's time. Raises `InfrastructureError` where that fails.
    """
    with _cut_off(lab, context):
        backend(lab.record.provider).restore(lab.record, context.runner)
    with files_written():
        # Credentials may have been changed, too.
        shutil.copy2(lab.folder / SAVED_KUBECONFIG, lab.folder / KUBECONFIG)


def stop(lab: Lab, context: Context) -> None:
    """Turn the machines off, until they are restored."""
    lab.close()
    backend(lab.record.provider).stop(lab.record, context.runner)


@contextlib.contextmanager
def _cut_off(lab: Lab, context: Context) -> Iterator[None]:
    """End every SSH connection, also OpenSSH's: they do not outlive it. Set the clocks after it.

    A saved machine's clock goes on from when it was saved.
    """
    lab.close()
    leftovers.close_sockets(lab.record.owner, context.runner)
    ssh_files.make_socket_dir(lab.run_id, lab.folder)
    yield
    with ThreadPoolExecutor(max_workers=len(lab.machines)) as pool:
        list(pool.map(lambda name: _set_clock(lab.remote(name), lab.pace, context), lab.machines))


def _set_clock(remote: Remote, pace: float, context: Context) -> None:
    """Set a machine's clock by what it is behind: the time itself would be late when it arrived."""

    def refusal() -> str:
        try:
            remote.run(["true"], doing="Reaching the machine", deadline=ANSWER_SECONDS)
        except HarnessError as error:
            return str(error)
        return ""

    wait_until(
        f"{remote.name} to answer",
        refusal,
        lambda said: not said,
        bound=ANSWER_SECONDS * pace,
        every=ANSWER_EVERY_SECONDS,
        clock=context.clock,
    )
    asked = context.clock.now().timestamp()
    said = remote.run(["date", "+%s.%N"], doing="Reading the clock", deadline=CLOCK_SECONDS)
    here = (asked + context.clock.now().timestamp()) / 2
    remote.run(
        ["date", f"--set={here - float(said.stdout):.3f} seconds"],
        doing="Setting the clock",
        deadline=CLOCK_SECONDS,
        sudo=True,
    )
