from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.base.context import Context, silent
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.lab import leftovers
from harness.lab.lab import Lab, bring_up
from harness.lab.leftovers import Removal
from harness.lab.reservation import reserve
from harness.preflight.choice import choose_provider
from harness.preflight.survey import survey
from harness.providers import registry
from harness.providers.docker.sysctls import NAMES
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.state.owner import LABEL_RUN
from harness.vocabulary.words import Role

# The first lab on a host makes the node image, which takes minutes.
SAY_SECONDS = 1500


# The provider whose machines the tests are about, docker without one.
PROVIDER = Settings.from_environment(os.environ, providers=registry.names()).provider or "docker"
_VIRSH = ("virsh", "--quiet", "--connect", registry.PROVIDERS["libvirt"].connection())
_ASKING = {
    "docker": ("docker", "info", "--format={{.ServerVersion}}"),
    "libvirt": (*_VIRSH, "list"),
}


@functools.cache
def _problem(provider: str) -> str | None:
    """Return why no machine of `provider` can be made here, None where one can."""
    argv = _ASKING[provider]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return f"there is no {argv[0]}"
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this host has no machines for.

    `machines("libvirt")` wants libvirt's, also where PROVIDER= is another.
    """
    skipped: dict[str, int] = {}
    for item in items:
        marker = item.get_closest_marker("machines")
        provider = (marker.args or (PROVIDER,))[0] if marker else None
        if provider is None or _problem(provider) is None:
            continue
        skipped[provider] = skipped.get(provider, 0) + 1
        item.add_marker(
            pytest.mark.skip(reason=f"no real machines on {provider} here: {_problem(provider)}")
        )
    config.stash[_SKIPPED] = [
        f"{count} tests need real machines on {provider} and did not run: {_problem(provider)}"
        for provider, count in skipped.items()
    ]


_SKIPPED = pytest.StashKey[list[str]]()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    skipped = config.stash.get(_SKIPPED, [])
    if skipped:
        terminalreporter.section("NOT RUN", sep="!", red=True)
        for line in skipped:
            terminalreporter.line(line)


def settings_in(folder: Path) -> Settings:
    """Return settings with labs and runs in `folder`; boxes are the user's, as in every run."""
    return replace(
        Settings.from_environment(os.environ, providers=registry.names()),
        state_dir=folder / "state",
        runs_dir=folder / "runs",
    )


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def host(settings: Settings) -> Context:
    return Context(LocalRunner(), SystemClock(), settings)


@pytest.fixture(scope="session")
def provider() -> str:
    return PROVIDER


@pytest.fixture(scope="session")
def emulated(host: Context) -> bool:
    """Whether the virtual processors of the machines are programs here."""
    facts = survey(host.runner, host.settings, os.environ)
    return choose_provider(facts, PROVIDER).emulated


@pytest.fixture(scope="session")
def lab(host: Context, provider: str, emulated: bool) -> Iterator[Lab]:
    """One controller and two workers, for all tests that leave them as they were."""
    with reserve(host, scenario="integration", provider=provider) as place:
        roles = {"controller0": Role.CONTROLLER, "worker0": Role.WORKER, "worker1": Role.WORKER}
        machines = tuple(
            MachineSpec(name, role, str(place.subnet[10 + index]))
            for index, (name, role) in enumerate(roles.items())
        )
        yield bring_up(
            place, LabRequest(machines, host.settings.runs_dir / "lab", emulated=emulated)
        )


@pytest.fixture(scope="session")
def patience(lab: Lab) -> float:
    """What a deadline for work of the machines is multiplied by; five times is emulation's."""
    return min(lab.pace, 5.0)


@dataclass
class Run:
    """A run in a process of its own (one_lab.py, one_libvirt_lab.py)."""

    settings: Settings
    log: Path
    machines: int = 1
    program: str = "one_lab.py"
    words: tuple[str, ...] = ()
    said: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        program = Path(__file__).with_name(self.program)
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(program),
                str(self.settings.state_dir),
                str(self.log),
                str(self.machines),
                *self.words,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def run_id(self) -> str:
        return next(line["run_id"] for line in self.said if "run_id" in line)

    def until(self, wanted: Callable[[dict[str, str]], bool]) -> None:
        """Read what it says up to the first line that is `wanted`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))
            if wanted(self.said[-1]):
                return
        pytest.fail(f"the run ended with {self.process.wait()} before: {self.said[-5:]}")

    def until_creating(self) -> None:
        self.until(lambda said: "Creating the container" in said.get("detail", ""))

    def until_up(self) -> None:
        self.until(lambda said: "up" in said)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self, within: float) -> int:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return self.process.wait(timeout=within)


@pytest.fixture
def start_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start runs that share a state folder of their own; what is left of them goes at the end."""
    settings = settings_in(tmp_path)
    started: list[Run] = []

    def start(machines: int = 1, program: str = "one_lab.py", words: tuple[str, ...] = ()) -> Run:
        started.append(Run(settings, tmp_path / f"run{len(started)}", machines, program, words))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.send(signal.SIGKILL)
            run.process.wait(timeout=30)
    _clean(settings, kept_too=True)


def _clean(
    settings: Settings, *, named: tuple[str, ...] = (), kept_too: bool = False
) -> tuple[Removal, ...]:
    return leftovers.clean(
        Context(LocalRunner(), SystemClock(), settings),
        silent,
        named=named,
        kept_too=kept_too,
    )


@pytest.fixture(scope="session")
def clean() -> Callable[..., tuple[Removal, ...]]:
    """What `k0s-harness labs --clean` does."""
    return _clean


# --- what is on this host that a lab could leave behind -------------------------------------------


def _lines(*argv: str) -> set[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return {line.strip() for line in done.stdout.splitlines() if line.strip()}


def _docker(*argv: str) -> set[str]:
    label = f'{{{{.Label "{LABEL_RUN}"}}}}'
    return _lines("docker", *argv, "--format", f"{{{{.{_NAMES[argv[0]]}}}}} run={label}")


_NAMES = {"ps": "Names", "network": "Name", "volume": "Name"}


def _processes() -> set[str]:
    """Command lines of what a run may start; other programs come and go as they like."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"K0S_HARNESS_RUN=" in environ or re.search(r"ssh: /\S+/k5-|docker-proxy", words):
            found.add(words.strip())
    return found


def _of_docker() -> dict[str, set[str]]:
    return {
        "container": _docker("ps", "--all"),
        "network": _docker("network", "ls"),
        "volume": _docker("volume", "ls"),
    }


def _of_libvirt() -> dict[str, set[str]]:
    pools = _lines(*_VIRSH, "pool-list", "--name")
    return {
        "domain": _lines(*_VIRSH, "list", "--all", "--name"),
        "libvirt network": _lines(*_VIRSH, "net-list", "--all", "--name"),
        "image": {f"{pool} {row}" for pool in pools for row in _lines(*_VIRSH, "vol-list", pool)},
        "libvirt file": {
            str(path)
            for folder in ("/var/lib/libvirt", "/run/libvirt", "/var/log/libvirt")
            for path in Path(folder).rglob("*")
        },
        # Where iptables is not nft's.
        "iptables": {
            line
            for line in (_lines("iptables-save") if shutil.which("iptables-save") else ())
            if line.startswith("-A")
        },
    }


def _host_state() -> set[str]:
    """Return a line for each thing, with what kind of thing it is."""
    things = {
        **(_of_docker() if _problem("docker") is None else {}),
        **(_of_libvirt() if _problem("libvirt") is None else {}),
        "link": {
            re.sub(r"@.*", "", line.split(": ")[1]) for line in _lines("ip", "-o", "link", "show")
        },
        "route": {
            re.sub(r" (linkdown|dead)\b", "", line) for line in _lines("ip", "-4", "route", "show")
        },
        # Stateless: counters move by themselves.
        "nft": _lines("nft", "--stateless", "list", "ruleset"),
        "process": _processes(),
        "socket folder": {str(path) for path in Path("/tmp").glob("k5-*")},
        "sysctl": _lines("sysctl", *NAMES),
    }
    return {f"{kind}: {line}" for kind, lines in things.items() for line in lines}


_RUN_ID = re.compile(r"k5[-_][0-9a-z]{6}")


def _left_behind(before: set[str], own: set[str]) -> set[str]:
    """Return what is there now and was not `before`, but for what other runs made meanwhile.

    `own` has the run ids of the tests. Where another run works on this host, only what can be told
    to be ours counts; where none does, everything.
    """
    now = _host_state()
    new = now - before
    seen = {found.replace("_", "-") for line in now | before for found in _RUN_ID.findall(line)}
    if seen - own:
        return {
            line for line in new if any(run.replace("-", ".") in line or run in line for run in own)
        }
    return new


@pytest.fixture
def left_behind() -> Callable[..., set[str]]:
    """What runs, given by their ids, left on this host since the test began."""
    before = _host_state()
    return lambda *runs: _left_behind(before, set(runs))
