"""A lab that is saved and restored: its connections, its clocks, its credentials."""

from __future__ import annotations

import types

import pytest

from harness.base.context import Context
from harness.base.errors import InfrastructureError
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.lab import saved
from harness.ssh import files as ssh_files
from harness.state.records import KUBECONFIG
from harness.testing import FakeClock, FakeRemote, FakeRunner

RUN = RunId("k5-000001")
# A machine's clock, a quarter of an hour behind this host's.
BEHIND = f"{FakeClock().now().timestamp() - 900:.9f}\n"


class Backend:
    """Writes down what it was asked, and how the way in was meanwhile."""

    def __init__(self, lab):
        self._lab = lab
        self.asked = []
        self.error = None

    def _note(self, what):
        assert self._lab.closed
        assert not list(ssh_files.socket_dir(RUN).glob("controller0"))
        self.asked.append(what)
        if self.error is not None:
            raise self.error

    def save(self, _record, _runner):
        self._note("save")

    def restore(self, _record, _runner):
        self._note("restore")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(ssh_files, "SOCKETS", tmp_path)
    folder = tmp_path / "labs" / RUN
    folder.mkdir(parents=True, mode=0o700)
    (folder / KUBECONFIG).write_text("as it was")
    remotes = {
        name: FakeRemote(name, {"": "", "date +%s.%N": BEHIND})
        for name in ("controller0", "worker0")
    }
    made = types.SimpleNamespace(
        record=types.SimpleNamespace(
            provider="libvirt",
            owner=types.SimpleNamespace(run_id=RUN, folder=folder, labs_dir=folder.parent),
        ),
        run_id=RUN,
        folder=folder,
        machines=remotes,
        remote=remotes.__getitem__,
        pace=1.0,
        closed=False,
    )
    made.close = lambda: setattr(made, "closed", True)
    made.backend = Backend(made)
    monkeypatch.setattr(saved, "backend", lambda _: made.backend)
    ssh_files.make_socket_dir(RUN, folder)
    return made


@pytest.fixture
def context(tmp_path):
    return Context(FakeRunner(), FakeClock(), Settings.from_environment({"HOME": str(tmp_path)}))


def test_what_was_changed_since_is_gone_once_restored_credentials_included(lab, context):
    saved.save(lab, context)
    (lab.folder / KUBECONFIG).write_text("of another authority")
    saved.restore(lab, context)
    assert (lab.folder / KUBECONFIG).read_text() == "as it was"
    assert lab.backend.asked == ["save", "restore"]


@pytest.mark.parametrize("do", [saved.save, saved.restore])
def test_clocks_stood_still_or_show_when_they_were_saved_and_are_set_afterwards(lab, context, do):
    saved.save(lab, context)
    for remote in lab.machines.values():
        remote.commands.clear()
    do(lab, context)
    for remote in lab.machines.values():
        assert remote.commands[-1] == ("date", "--set=900.000 seconds")


def test_a_machine_that_is_too_busy_to_answer_at_once_is_waited_for(lab, context):
    busy = lab.remote("controller0")
    answers = iter([InfrastructureError("Reaching", "no SSH: no existing session"), ""])
    busy.answers["true"] = lambda _: raised(next(answers))
    saved.save(lab, context)
    assert [each[0] for each in busy.commands] == ["true", "true", "date", "date"]


def raised(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_nothing_is_set_where_the_machines_could_not_be_restored(lab, context):
    lab.backend.error = InfrastructureError("Restoring", "no snapshot")
    with pytest.raises(InfrastructureError, match="no snapshot"):
        saved.restore(lab, context)
    assert all(remote.commands == [] for remote in lab.machines.values())
