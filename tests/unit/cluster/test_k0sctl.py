"""What k0sctl says, read from its real output."""

from pathlib import Path

import pytest

from harness.cluster.k0sctl import ApplyFailedError, K0sctl, phase_title, reason_of
from harness.vocabulary.words import ApplyOutcome
from tests.unit.paths import RECORDINGS

RECORDINGS = RECORDINGS / "k0sctl"
REFUSED = (RECORDINGS / "refused-unknown-field.log").read_text()
FAILED = (RECORDINGS / "failed-connectivity-check.log").read_text()


def test_a_refusal_is_quoted_in_one_line_without_k0sctls_wrapping():
    assert reason_of(REFUSED) == (
        "spec.k0s.config validation failed:: Process exited with status 1 (Error: failed to read "
        'config: error unmarshaling JSON: while decoding JSON: json: unknown field "enabled")'
    )


def test_a_program_that_says_nothing_is_reported_as_such():
    assert reason_of("\n") == "k0sctl said nothing"


def test_phases_are_heard_by_their_titles():
    titles = [title for line in REFUSED.splitlines() if (title := phase_title(line))]
    assert titles[0] == "Connect to hosts"
    assert titles[-1] == "Install k0s binaries on hosts"
    assert len(titles) == 9


def test_a_refused_configuration_is_told_from_an_apply_that_failed():
    log = Path("k0sctl.log")
    assert ApplyFailedError(reason_of(REFUSED), log).outcome is ApplyOutcome.REFUSED
    assert ApplyFailedError(reason_of(FAILED), log).outcome is ApplyOutcome.FAILED
    # Seen on a full disk, 2026-11-23.
    full = (
        "failed on 2 hosts: - [ssh] 192.168.57.11:22: upload failed: dd: error writing "
        "'/var/lib/k0s/images/k0s-airgap-bundle': No space left on device"
    )
    assert ApplyFailedError(full, log).outcome is ApplyOutcome.FAILED


class Writer:
    """Stands for k0sctl v0.31.0: writes over what is there and does not truncate it."""

    def __init__(self, *texts):
        self.texts = list(texts)
        self.argv = []

    def run(self, argv, **_):
        self.argv = argv
        target = Path(argv[argv.index("--kubeconfig-out") + 1])
        with target.open("r+b" if target.exists() else "wb") as file:
            file.write(self.texts.pop(0).encode())


def k0sctl_of(writer, folder):
    return K0sctl(
        Path("k0sctl"),
        config=folder / "k0sctl.yaml",
        known_hosts=folder / "known_hosts",
        scratch=folder,
        log=folder / "k0sctl.log",
        runner=writer,
        mark={},
    )


def test_a_kubeconfig_shorter_than_the_one_before_it_has_no_remains_of_that(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    k0sctl = k0sctl_of(Writer("client-key-data: LS0tQo=\n", "client-key-data: LS0=\n"), tmp_path)
    for _ in range(2):
        k0sctl.apply(kubeconfig=kubeconfig, api="192.168.56.10:6443")
    assert kubeconfig.read_text() == "client-key-data: LS0=\n"


def test_k0sctl_waits_as_it_does_for_everybody_unless_machines_are_slow(tmp_path):
    writer = Writer("", "")
    for pace, waits in ((1.0, True), (21.0, False)):
        k0sctl_of(writer, tmp_path).apply(
            kubeconfig=tmp_path / "kubeconfig", api="192.168.56.10:6443", pace=pace
        )
        assert ("--no-wait" in writer.argv) is not waits
        assert ("--retry-interval" in writer.argv) is not waits


@pytest.mark.parametrize(
    ("pace", "may_fail", "wait"),
    [(1.0, False, "600s"), (1.0, True, "120s"), (21.0, False, "2520s"), (21.0, True, "2520s")],
)
def test_an_apply_that_may_fail_gives_up_as_soon_as_k0sctl_does_by_itself(
    tmp_path, pace, may_fail, wait
):
    writer = Writer("")
    k0sctl_of(writer, tmp_path).apply(
        kubeconfig=tmp_path / "kubeconfig", api="192.168.56.10:6443", pace=pace, may_fail=may_fail
    )
    assert writer.argv[writer.argv.index("--default-timeout") + 1] == wait
