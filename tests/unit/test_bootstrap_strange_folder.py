"""`bootstrap.sh` in a folder of somebody else's imports nothing that lies there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.paths import PROJECT

# What bootstrap.sh calls before it hands over, and the shell that tests' stand-ins are written in.
TOOLS = "sh cat cksum date dirname env flock grep id mkdir mktemp rm sed tail touch tr chmod cp"
HOSTILE = (
    *("venv.py", "ensurepip.py", "sys.py", "runpy.py", "pip.py", "argparse.py", "sitecustomize.py"),
    *(
        "usercustomize.py",
        "harness/__init__.py",
        "harness/host/__init__.py",
        "harness/preflight/setup.py",
    ),
)


@pytest.fixture
def world(tmp_path):
    """A checkout without an environment, a folder in which code lies in wait, and few programs."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("bootstrap.sh", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(PROJECT / name, checkout)
    (checkout / "harness").symlink_to(PROJECT / "harness")
    (tmp_path / "marks").mkdir()
    for name in HOSTILE:
        path = tmp_path / "strange" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = tmp_path / "marks" / name.replace("/", "-")
        path.write_text(f"open({str(mark)!r}, 'w').close()\n")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS.split():
        if (found := shutil.which(tool)) is not None:
            (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def bootstrap(world, *arguments, **variables):
    environment = {
        "PATH": str(world / "bin"),
        "HOME": str(world / "home"),
        "K0S_HARNESS_STATE": str(world / "home"),
        "K0S_HARNESS_CACHE": str(world / "home"),
        # Each leads to the same folder: what a user may have set for work of his own.
        "PYTHONPATH": str(world / "strange"),
        "PYTHONSTARTUP": str(world / "strange" / "venv.py"),
        **variables,
    }
    return subprocess.run(
        ["sh", world / "checkout" / "bootstrap.sh", *arguments],
        cwd=world / "strange",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_looking_at_the_host_imports_nothing_that_lies_around(world):
    base = Path(sys.base_prefix, "bin", "python3")
    (world / "bin" / "python3").symlink_to(base)
    done = bootstrap(world, "--look", "true")
    assert sorted(path.name for path in (world / "marks").iterdir()) == []
    assert "The Python environment is not made yet" in done.stderr
    # The real report came: this host has neither Vagrant nor anything else here.
    assert done.returncode == 3, done.stderr
    assert "vagrant" in (done.stdout + done.stderr).lower()
    assert not list(world.glob("**/__pycache__"))


# A Python that notes how it was called, and makes an environment with itself in it.
STAND_IN = """\
#!/bin/sh
echo "$0 $*" >>"$CALLS"
echo "path=${{PYTHONPATH-}} home=${{PYTHONHOME-}}" >>"$CALLS.environment"
case "$*" in *'-m venv'*)
    mkdir -p "{venv}/bin" && cp "$0" "{venv}/bin/python" ;;
esac
"""


def test_every_python_that_set_up_starts_is_isolated(world):
    python = world / "bin" / "python3"
    python.write_text(STAND_IN.format(venv=world / "checkout" / ".venv"))
    python.chmod(0o755)
    command = ["sh", "-c", 'echo "path=${PYTHONPATH-unset}"']
    done = bootstrap(world, "--lab", *command, CALLS=str(world / "calls"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "path=unset\n"
    # A call with a script of several lines is noted in as many.
    calls = re.findall(r"^/\S+/python3? .*$", (world / "calls").read_text(), re.MULTILINE)
    assert all(re.match(r"\S+ -I ", call) for call in calls), calls
    whole = "\n".join(calls)
    for part in ("import sys, venv", "import runpy", "-m venv --clear", "pip install --no-deps"):
        assert part in whole


def test_every_python_in_the_projects_scripts_is_isolated():
    scripts = [PROJECT / name for name in ("bootstrap.sh", "Makefile", ".ci/run", ".ci/lint")]
    scripts += PROJECT.glob("boxes/**/*.sh")
    started = [
        line
        for path in scripts
        for line in path.read_text().splitlines()
        if not line.lstrip().startswith("#") and re.search(r"python[0-9.]*\"? -|\"\$1\" -", line)
    ]
    assert len(started) >= 7
    assert all(re.search(r"(python|\$1)\"? -I ", line) for line in started), started
