"""What a person's laptop is for works without Linux: looking, judging, checking, no machines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base.errors import ExitCode
from tests.unit.paths import DEMO

PROGRAM = Path(__file__).with_name("as_on_macos.py")
K0SCTL = """\
apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
spec:
  hosts:
    - role: controller+worker
      ssh: {address: 192.0.2.10, user: root}
  k0s: {version: 1.32.3+k0s.0}
"""


CASES = {
    "demo": (ExitCode.OK, "runs/demo/report.html"),
    f"diagnose --bundle {DEMO} --phase broken": (ExitCode.NOT_MET, "no-route-to-service"),
    "validate konnectivity-off": (ExitCode.OK, "1 scenario without a mistake"),
    "plan konnectivity-off": (ExitCode.OK, "controller0"),
    "schema": (ExitCode.OK, '"title"'),
    "labs": (ExitCode.OK, "no labs on this host"),
    # As far as ssh, which a Mac has.
    "diagnose --k0sctl k0sctl.yaml": (ExitCode.HOST_LACKS, "there is no program ssh"),
    "flows --k0sctl k0sctl.yaml": (ExitCode.HOST_LACKS, "there is no program ssh"),
    "collect --k0sctl k0sctl.yaml": (ExitCode.HOST_LACKS, "there is no program ssh"),
    "doctor": (ExitCode.HOST_LACKS, "machines in containers need a Linux host"),
    "run konnectivity-on": (ExitCode.HOST_LACKS, "machines in containers need a Linux host"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each verb came to: its exit code and all that it said.

    All in one process, in which the first one has imported most of what the others need.
    """
    folder = tmp_path_factory.mktemp("mac")
    (folder / "k0sctl.yaml").write_text(K0SCTL)
    done = subprocess.run(
        [sys.executable, "-I", PROGRAM, *CASES],
        cwd=folder,
        env={"HOME": str(folder), "PATH": str(folder / "bin")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("words", CASES)
def test_a_verb_does_its_work_on_a_mac_or_says_what_is_missing(words, answers):
    code, out, err = answers[words]
    expected, said = CASES[words]
    assert code == expected, err
    assert said in out + err
    assert "Traceback" not in err
