"""What shells complete; a shell that is not on this host is left out."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from harness.base.settings import Settings
from harness.cli import VERBS
from harness.cli.completion import SHELLS, script
from harness.providers.registry import names
from tests.unit.paths import PROJECT

LAB = "k5-qgnubf"
ASKED = {
    "bash": """source {file}
words=({line} '{word}')
COMP_WORDS=("${{words[@]}}") COMP_CWORD=$((${{#words[@]}} - 1))
_shtab_k0s_harness k0s-harness '{word}'
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "fish": "source {file}; complete -C '{line} {word}'",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the file of a shell's completion, with one kept lab on the host."""
    place = tmp_path_factory.mktemp("completion")
    variables = {"K0S_HARNESS_STATE": str(place), "HOME": str(place)}
    settings = Settings.from_environment(variables, {}, providers=names())
    (settings.labs_dir / LAB).mkdir(parents=True)

    def file(shell):
        if shutil.which(shell) is None:
            pytest.skip(f"there is no {shell} on this host")
        path = place / f"completion.{shell}"
        path.write_text(script(shell, settings))
        return path

    return file


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_can_read_what_is_for_it(shell, written):
    subprocess.run([shell, "-n", written(shell)], check=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_in_it(shell, tmp_path):
    settings = Settings.from_environment({"HOME": str(tmp_path)}, {}, providers=names())
    said = script(shell, settings)
    assert [verb for verb in VERBS if verb not in said] == []


@pytest.mark.parametrize("shell", ASKED)
@pytest.mark.parametrize(
    ("line", "word", "found"),
    [
        ("k0s-harness", "diag", ["diagnose"]),
        ("k0s-harness run", "konnectivity-of", ["konnectivity-off"]),
        ("k0s-harness run", "scenarios/konnectivity-of", ["scenarios/konnectivity-off.yaml"]),
        ("k0s-harness run --provider", "", ["docker", "libvirt", "virtualbox"]),
        ("k0s-harness run --keep", "f", ["failure"]),
        ("k0s-harness diagnose", "k5", [LAB]),
        ("k0s-harness labs", "k5", [LAB]),
        ("k0s-harness artifacts", "ver", ["verify"]),
        ("k0s-harness replay", "pypro", ["pyproject.toml"]),
        ("k0s-harness diagnose", "--bun", ["--bundle"]),
    ],
)
def test_a_word_is_completed(shell, line, word, found, written):
    asked = ASKED[shell].format(file=written(shell), line=line, word=word)
    done = subprocess.run(
        [shell, "-c", asked],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )
    assert [each.split("\t")[0] for each in done.stdout.splitlines()] == found
