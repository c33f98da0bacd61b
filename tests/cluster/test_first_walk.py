"""A new user's walk, from the demo on: the cluster of a k0sctl.yaml that no run here knows of.

What comes before it is in tests/integration/test_first_walk.py.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli

PROJECT = Path(__file__).parents[2]


@pytest.mark.k0s(scenario="konnectivity-off", phase="broken")
def test_the_demo_leads_to_a_diagnosis_of_ones_own_cluster_and_that_to_a_run(
    lab, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("sys.argv", [str(Path(sys.executable).with_name("k0s-harness"))])
    assert cli.main(["demo", "--output", str(tmp_path / "demo")]) == 0
    diagnose, run = suggested(capsys.readouterr().err)

    shutil.copy(lab.folder / "k0sctl.yaml", tmp_path)
    done = subprocess.run(
        diagnose.replace("k0sctl.yaml", str(tmp_path / "k0sctl.yaml")).split(),
        # Of a user who has no lab; how they know their own machines is ssh's matter.
        env={**os.environ, "HOME": str(tmp_path), "SSH_KNOWN_HOSTS": str(lab.known_hosts)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("cause: no-route-to-service-network (high confidence)")
    assert suggested(done.stderr) == [run] == ["make test-konnectivity-off"]


def suggested(text):
    """Return the commands under the lines that begin with `next:`."""
    return re.findall(r"^next: .*:\n    (\S.*)$", text, re.MULTILINE)
