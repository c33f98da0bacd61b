from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.providers.topology import HOST_KEY_MARKER
from harness.providers.vagrant import (
    Vagrant,
    VagrantError,
    environment,
    last_warning,
    machine_lines,
    reason,
    share_home,
)
from tests.unit.paths import UNIT

RECORDED = UNIT / "recordings" / "lab"


def recorded(name: str) -> Completed:
    """Vagrant's output; the recording has stdout first, and errors begin without indentation."""
    text = (RECORDED / name).read_text()
    lines = text.splitlines(keepends=True)
    narration = [line for line in lines if line.startswith(("==> ", "    ", "Bringing machine"))]
    rest = [line for line in lines if line not in narration]
    return Completed(("vagrant", "up"), 1, "".join(narration), "".join(rest), 1.0)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "vagrant-early.log",
            'the Vagrantfile cannot be read: KeyError: key not found: "run_label"',
        ),
        ("vagrant-boot.log", "Timed out while waiting for the machine to boot."),
        (
            "vagrant-conn.log",
            (
                "Cannot connect to the Docker daemon at unix:///nonexistent.sock. "
                "Is the docker daemon running?"
            ),
        ),
        (
            "vagrant-name.log",
            (
                'Conflict. The container name "/k5-j40i80-worker0" is already in use by container '
                '"9f0651eef2c2137527f98e36486158fa62183a3fef9a381d8b2d7cea405d69d1". '
                "You have to remove (or rename) that container to be able to reuse that name."
            ),
        ),
    ],
)
def test_vagrants_error_becomes_one_sentence(name, sentence):
    assert reason(recorded(name)) == sentence


# vagrant-libvirt 0.5 to 0.12: a heading, then the reason; or what nobody caught (#1807).
UNKNOWN = "Call to virDomainDefineXML failed: internal error: Unknown source mode ''"


@pytest.mark.parametrize(
    "stderr",
    [
        f"There was an error talking to Libvirt. The error message is shown\nbelow:\n\n{UNKNOWN}\n",
        f"/usr/x/vm_action.rb:7:in `create': {UNKNOWN} (Libvirt::Error)\n\tfrom /usr/x/a.rb:1\n",
        (
            "An error occurred while executing multiple actions in parallel.\nAny errors that"
            " occurred"
            " are shown below.\n\nAn error occurred while executing the action on the 'worker0'\n"
            f"machine. Please handle this error then try again:\n\n{UNKNOWN}\n"
        ),
    ],
)
def test_a_heading_is_not_the_reason(stderr):
    assert reason(Completed(("vagrant", "up"), 1, "", stderr, 1.0)) == UNKNOWN


def test_an_end_without_a_word_still_says_something():
    assert reason(Completed(("vagrant",), 3, "", "", 0.1)) == "exit status 3 without a word"


def test_the_last_warning_says_why_a_machine_did_not_come_up():
    warning = last_warning(recorded("vagrant-boot.log"))
    assert warning == "worker0: Warning: Authentication failure. Retrying..."
    assert last_warning(recorded("vagrant-name.log")) is None


def test_a_failed_up_quotes_vagrant_and_says_where_the_rest_is(tmp_path):
    class Failing:
        def run(self, _argv, *, doing, log, **_):
            raise CommandFailedError(doing, recorded("vagrant-boot.log"), log=log)

    log = tmp_path / "vagrant.log"
    vagrant = Vagrant(Failing(), folder=tmp_path, provider="docker", log=log)
    with pytest.raises(VagrantError) as failed:
        vagrant.up(["worker0"])
    text = failed.value.text()
    assert "the machine did not answer on SSH in time: worker0, after 120s" in text
    assert failed.value.late == ("worker0",)
    failed.value.quote_console("worker0", "".join(f"line {number}\r\n" for number in range(9)))
    assert "    the console of worker0 ends:\n      line 4\n" in failed.value.text()
    assert failed.value.text().count("line ") == 5
    assert "Timed out while waiting for the machine to boot." in text
    assert "Authentication failure" in text
    assert str(log) in text


def test_host_keys_are_read_from_what_the_machines_printed():
    said = Completed(("vagrant",), 0, (RECORDED / "vagrant-provision.txt").read_text(), "", 1.0)
    keys = machine_lines(said, HOST_KEY_MARKER)
    assert set(keys) == {"worker0"}
    assert keys["worker0"].startswith("ssh-ed25519 AAAA")


def test_a_run_keeps_its_state_to_itself_and_asks_nobody_outside(tmp_path):
    variables = environment(tmp_path)
    assert variables["VAGRANT_DOTFILE_PATH"].startswith(str(tmp_path))
    assert variables["VAGRANT_HOME"].startswith(str(tmp_path))
    assert variables["VAGRANT_CHECKPOINT_DISABLE"] == "1"


def test_boxes_and_plugins_are_the_users_own_and_nothing_else_of_that_home(tmp_path, monkeypatch):
    users, run = tmp_path / "home", tmp_path / "run"
    (users / "gems").mkdir(parents=True)
    (users / "data").mkdir()
    run.mkdir()
    monkeypatch.setenv("VAGRANT_HOME", str(users))
    share_home(run)
    shared = {
        path.name: path.resolve() for path in Path(environment(run)["VAGRANT_HOME"]).iterdir()
    }
    assert shared == {"boxes": users / "boxes", "gems": users / "gems"}
