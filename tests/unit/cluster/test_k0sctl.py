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


def test_nodes_that_others_wait_for_are_not_waited_for_by_k0sctl(tmp_path):
    writer = Writer("")
    k0sctl_of(writer, tmp_path).apply(
        kubeconfig=tmp_path / "kubeconfig", api="192.168.56.10:6443", joining=True
    )
    assert "--no-wait" in writer.argv
    assert writer.argv[writer.argv.index("--retry-interval") + 1] == "1s"


def test_k0sctl_looks_every_second_at_a_cluster_that_it_changes(tmp_path):
    writer = Writer("")
    k0sctl_of(writer, tmp_path).apply(
        kubeconfig=tmp_path / "kubeconfig", api="192.168.56.10:6443", first=False
    )
    assert writer.argv[writer.argv.index("--retry-interval") + 1] == "1s"
    assert "--no-wait" not in writer.argv


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


# k0sctl v0.31.0 without a key, 2026-11-28: into a file, and on a terminal (script -c).
NO_KEY = (
    'level=fatal msg="apply failed - log file saved to /home/op/.cache/k0sctl/k0sctl.log: failed on'
    " 2 hosts:\\n - [SSH] 127.0.0.2: retrying aborted\\nnot connected: client connect: can't"
    " connect: create config: can't connect: no usable authentication method found\\n - [SSH]"
    " 127.0.0.3: retrying aborted\\nnot connected: client connect: can't connect: create config:"
    " can't connect: no usable authentication method found\"\n"
)
SHOWN = (
    "\x1b[36mINFO\x1b[0m \x1b[31m==> Apply failed\x1b[0m                    \r\n"
    "\x1b[31mFATA\x1b[0m apply failed - log file saved to /home/op/.cache/k0sctl/k0sctl.log: failed"
    " on 2 hosts:\r\n - [SSH] 127.0.0.2: retrying aborted\r\nnot connected: client connect: can't"
    " connect: create config: can't connect: no usable authentication method found\r\n - [SSH]"
    " 127.0.0.3: retrying aborted\r\nnot connected: client connect: can't connect: create config:"
    " can't connect: no usable authentication method found \r\n"
)
MISMATCH = (
    'level=fatal msg="apply failed - log file saved to /x/k0sctl.log: failed on 1 hosts:\\n - [SSH]'
    " 127.0.0.1: retrying aborted\\nnot connected: client connect: can't connect: ssh: handshake"
    ' failed: host key mismatch: knownhosts: key mismatch"\n'
)
TWO_REASONS = (
    'level=fatal msg="apply failed - log file saved to /x/k0sctl.log: failed on 2 hosts:\\n - [SSH]'
    " 127.0.0.3: retrying aborted\\nnot connected: client connect: can't connect: create config:"
    " can't connect: no usable authentication method found\\n - [SSH] 127.0.0.2: context"
    " canceled\\n"
    "not connected: client connect: ssh dial: dial tcp 127.0.0.2:9: connect: connection"
    ' refused"\n'
)
OPENSSH = (
    "op@127.0.0.1: Permission denied (publickey).\r\n"
    'level=fatal msg="apply failed - log file saved to /x/k0sctl.log: failed on 1 hosts:\\n -'
    " [OpenSSH] 127.0.0.1: context canceled\\nnot connected: client connect: failed to start ssh"
    ' multiplexing control master: exit status 255"\n'
)
UNKNOWN_KEY = (
    'level=fatal msg="failed to unmarshal cluster config: failed to unmarshal k0sctl.yaml: yaml:'
    ' unmarshal errors:\\n  line 6: field optionz not found in type cluster.spec"\n'
)
KEY_TWICE = UNKNOWN_KEY.replace("optionz not found", "role already set").replace("spec", "host")
# k0sproject/k0sctl#911 (v0.18.1), #464 (v0.15), #882 (v0.25), and Go's own form of a panic.
OLD_K0SCTL = (
    "FATA yaml: unmarshal errors:\n  line 164: field options not found in type cluster.spec \n"
)
OLD_PANIC = (
    "WARN[0008] [ssh] 10.0.0.1:22: k0s reported failure: command failed\n"
    "FATA[0008] PANIC: runtime error: invalid memory address or nil pointer dereference\n"
)
PANIC = (
    "panic: assignment to entry in nil map [recovered]\n\tpanic: assignment to entry in nil map\n\n"
    "goroutine 1 [running]:\nmain.main()\n\t/src/main.go:10 +0x1d\nexit status 2\n"
)
NOT_READY = (
    'time="10 May 25 04:32 UTC" level=fatal msg="apply failed - log file saved to /x/k0sctl.log:'
    ' failed to wait for kube api: kubernetes api /readyz responded with \\"\\""\n'
)
# k0sproject/k0sctl#445 (v0.15.0).
RETRIED = (
    "ERRO [SSH] 192.168.122.144: attempt 1 of 60.. failed to connect: not connected:"
    " client connect:"
    " ssh dial: ssh: handshake failed: host key mismatch: knownhosts: key mismatch \n"
)


@pytest.mark.parametrize(
    ("output", "sentence", "remedy"),
    [
        (NO_KEY, "k0sctl has no key to log in with", "keyPath"),
        (SHOWN, "(2 hosts: 127.0.0.2, 127.0.0.3)", "keyPath"),
        (MISMATCH, "another host key than the known one is shown (1 host: 127.0.0.1)", "keygen -R"),
        (
            TWO_REASONS,
            "127.0.0.2:9 cannot be reached: connection refused (1 host",
            "keyPath",
        ),
        (OPENSSH, "Permission denied: the host lets op@127.0.0.1 in with no key", "ssh-add"),
        (UNKNOWN_KEY, "does not know the key optionz (line 6, in spec)", "correct optionz"),
        (KEY_TWICE, "a key twice: role (line 6, in host)", "take one"),
        (OLD_K0SCTL, "the key options (line 164, in spec)", "known since k0sctl v0.24.0"),
        (OLD_PANIC, "k0sctl crashed: panic: runtime error: invalid memory", "newer"),
        (PANIC, "k0sctl crashed: panic: assignment to entry in nil map", "newer"),
        (NOT_READY, "the controller's API server does not answer", "journalctl -u k0scontroller"),
        (NOT_READY.replace('\\"\\"', '\\"starting\\"'), "/readyz answers starting", "readyz"),
        (FAILED, "do not reach the API server that their join token names", "6443"),
    ],
)
def test_what_k0sctl_says_becomes_what_is_wrong_and_what_to_do(output, sentence, remedy):
    error = ApplyFailedError(reason_of(output), Path("k0sctl.log"), output=output)
    assert sentence in error.happened
    assert remedy in (error.remedy or "")
    assert error.text().endswith("The rest is in k0sctl.log")


def test_hosts_that_failed_for_one_reason_are_told_once_with_their_count():
    said = reason_of(NO_KEY)
    assert said.startswith("failed on 2 hosts: 127.0.0.2, 127.0.0.3: retrying aborted")
    assert said.count("no usable authentication method found") == 1
    assert reason_of(SHOWN) == said
    assert reason_of(TWO_REASONS).count("127.0.0.2: ") == 1


def test_the_last_error_before_k0sctls_end_is_quoted():
    output = RETRIED + NOT_READY
    error = ApplyFailedError(reason_of(output), Path("k0sctl.log"), output=output)
    assert "    [SSH] 192.168.122.144: attempt 1 of 60.. failed to connect" in error.text()


def test_a_crash_refuses_nothing_and_an_unknown_key_is_a_refusal():
    log = Path("k0sctl.log")
    assert ApplyFailedError(reason_of(OLD_PANIC), log).outcome is ApplyOutcome.FAILED
    assert ApplyFailedError(reason_of(OLD_K0SCTL), log).outcome is ApplyOutcome.REFUSED
