"""What k0sctl says, read from its real output."""

from pathlib import Path

from harness.cluster.k0sctl import ApplyFailedError
from harness.cluster.k0sctl import phase_title
from harness.cluster.k0sctl import reason_of

RECORDINGS = Path(__file__).parents[1] / "recordings" / "k0sctl"
REFUSED = (RECORDINGS / "refused-unknown-field.log").read_text()


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
    assert ApplyFailedError(reason_of(REFUSED), log).refused
    # Seen on a full disk, 2026-11-23.
    full = (
        "failed on 2 hosts: - [ssh] 192.168.57.11:22: upload failed: dd: error writing "
        "'/var/lib/k0s/images/k0s-airgap-bundle': No space left on device"
    )
    assert not ApplyFailedError(full, log).refused
