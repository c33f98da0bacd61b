"""The one adapter for Vagrant.

`up` goes through the runner, because it needs a log, a deadline and options that python-vagrant
does not have (`--no-destroy-on-error`); python-vagrant reads the machines' state. Removing machines
is `harness.lab.leftovers`' work: it must do without what Vagrant knows of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from harness.base.completed import CommandFailedError, Completed
from harness.base.context import Say
from harness.base.errors import InfrastructureError
from harness.base.process import Runner
from harness.base.sayings import told_by
from harness.base.shipped import SHIPPED
from harness.base.telling import after_heading, plain
from harness.host.raw import vagrant_home

# A machine takes 3-7 s to answer on SSH, and 20 s where ten programs compete for two cores. Vagrant
# gives up on a machine after this many seconds.
BOOT_SECONDS = 120
# Where Vagrant keeps what it knows of a run's machines, in the run's folder.
STATE_FOLDER = "vagrant"
HOME_FOLDER = "vagrant-home"
# What a run's home shares with the user's: VM providers have their boxes and plugins there.
SHARED = ("boxes", "gems", "plugins.json")

# Vagrant's own start is 2 s, 10 s when the host is busy; two minutes a machine is the boot's bound.
UP_SECONDS_PER_MACHINE = 150.0
START_SECONDS = 30.0

# Of a machine that did not answer so much of its console is quoted; the evidence has all of it.
_CONSOLE_LINES = 5
_CONSOLE_CHARACTERS = 200

_DAEMON = "Error response from daemon: "
_NO_BOOT = "Timed out while waiting for the machine to boot"
# Of an error that no part of Vagrant has caught, Ruby prints where, the words and the kind.
_UNCAUGHT = re.compile(
    r"^\S+\.rb:\d+:in [`'][^'\n]+': ?([^(]{1,2000}?)(?: ?\(\S+\))?$", re.MULTILINE
)


class VagrantError(InfrastructureError):
    """Vagrant said no; `late` are the machines that did not answer in time."""

    def __init__(
        self,
        doing: str,
        happened: str,
        *,
        details: str | None = None,
        remedy: str | None = None,
        where: Path | None = None,
        late: Sequence[str] = (),
    ) -> None:
        self.late = tuple(late)
        super().__init__(doing, happened, details=details, remedy=remedy, where=where)

    def quote_console(self, machine: str, text: str) -> None:
        """Add the last lines that a machine printed while it booted to what is shown."""
        lines = [line.rstrip() for line in plain(text).splitlines() if line.strip()]
        shown = [f"  {line[:_CONSOLE_CHARACTERS]}" for line in lines[-_CONSOLE_LINES:]]
        said = [f"the console of {machine} ends:", *shown]
        if not shown:
            said = [f"the console of {machine} is empty"]
        self.details = "\n".join([*filter(None, [self.details]), *said])


class Vagrant:
    """Vagrant for one run: its state lies in the run's folder, its words in `log`.

    `pace` is how many times slower than this host the machines are taken to be.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        folder: Path,
        provider: str,
        log: Path | None,
        pace: float = 1.0,
    ) -> None:
        self._runner = runner
        self._provider = provider
        self._log = log
        self._pace = pace
        self.environment: Mapping[str, str] = environment(folder)

    def up(self, names: Sequence[str], *, on_line: Say | None = None) -> Completed:
        """Create and boot the machines `names`, as far as the provider can side by side.

        Returns what Vagrant said. Raises `VagrantError` with Vagrant's reason; the machines stay
        as they are, as evidence.
        """
        return self._run(
            "Bringing the machines up",
            [
                *("up", *names, f"--provider={self._provider}"),
                *("--no-destroy-on-error", "--parallel", "--no-tty"),
            ],
            deadline=up_seconds(len(names), self._pace),
            on_line=on_line,
        )

    def states(self) -> dict[str, str]:
        """Return Vagrant's word for each machine's state (`running`, `not_created`, …)."""
        with _asking("Reading the machines' state"):
            return {entry.name: entry.state for entry in self._reader().status() if entry.name}

    def ssh_settings(self, name: str) -> dict[str, str]:
        """Return what `vagrant ssh-config` says of one machine (HostName, Port, IdentityFile…)."""
        with _asking(f"Reading the SSH settings of {name}"):
            return dict(self._reader().conf(vm_name=name))

    def _reader(self) -> Any:  # noqa: ANN401  # python-vagrant ships no types
        # On a host without Vagrant its import complains on stderr, which plan, doctor and diagnose
        # have no use for.
        import vagrant as python_vagrant  # noqa: PLC0415

        # python-vagrant hands `env` to the program as it is, so it must be whole.
        return python_vagrant.Vagrant(  # type: ignore[no-untyped-call]
            root=str(SHIPPED), env={**os.environ, **self.environment}, err_cm=self._error_log
        )

    @contextlib.contextmanager
    def _error_log(self) -> Iterator[IO[bytes]]:
        with (self._log or Path(os.devnull)).open("ab") as sink:
            yield sink

    def _run(
        self,
        doing: str,
        arguments: Sequence[str],
        *,
        deadline: float,
        on_line: Say | None,
    ) -> Completed:
        try:
            return self._runner.run(
                ["vagrant", *arguments],
                doing=doing,
                deadline=deadline,
                env=self.environment,
                cwd=SHIPPED,
                log=self._log,
                on_line=on_line,
            )
        except CommandFailedError as failed:
            if failed.timed_out:
                raise
            raise _refusal(doing, failed.completed, self._log, self._pace) from failed


def up_seconds(machines: int, pace: float = 1.0) -> float:
    """Return how long bringing so many machines up may take; slow ones `pace` times as long."""
    return (START_SECONDS + UP_SECONDS_PER_MACHINE * machines) * pace


def environment(folder: Path) -> dict[str, str]:
    """Return what makes Vagrant work for one run and ask nobody outside this host."""
    return {
        **mark(folder),
        "VAGRANT_CWD": str(SHIPPED),
        "VAGRANT_DOTFILE_PATH": str(folder / STATE_FOLDER),
        # A home of the run's own: no index of machines in the user's, no settings from it.
        "VAGRANT_HOME": str(folder / HOME_FOLDER),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
        "VAGRANT_NO_COLOR": "1",
        "HARNESS_TOPOLOGY": str(topology_path(folder)),
    }


def share_home(folder: Path) -> None:
    """Give the run's home the user's boxes and plugins, which VM providers need."""
    home, users = folder / HOME_FOLDER, vagrant_home(os.environ)
    # Vagrant adds the box through the link, so what it points to must be there.
    (users / "boxes").mkdir(parents=True, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    for name in SHARED:
        if (users / name).exists():
            (home / name).symlink_to(users / name)


def mark(folder: Path) -> dict[str, str]:
    """Return the variable that marks all a run starts and that could outlive it when it is killed.

    By it `clean` tells a killed run's children from all other processes.
    """
    return {"K0S_HARNESS_RUN": str(folder)}


def topology_path(folder: Path) -> Path:
    """Return where a run's topology file is."""
    return folder / "topology.json"


def machine_lines(completed: Completed, marker: str) -> dict[str, str]:
    """Return what each machine printed after `marker`, from Vagrant's output of provisioners."""
    pattern = re.compile(rf"^\s+(\S+): {re.escape(marker)} (.+)$", re.MULTILINE)
    return {name: text.strip() for name, text in pattern.findall(completed.stdout)}


def reason(completed: Completed) -> str:
    """Return Vagrant's own explanation in one sentence.

    Where docker failed, its own words, which follow `Stderr:`; where the Vagrantfile did, Ruby's,
    which follow `Message:`; of an error nobody caught, its words; what a heading announces; else
    the first sentence of what Vagrant wrote on stderr.
    """
    text = completed.stderr.strip() or completed.stdout.strip()
    docker = re.search(r"^Stderr: (.+?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    if docker is not None:
        _, marker, words = docker.group(1).partition(_DAEMON)
        return " ".join((words if marker else docker.group(1)).split())
    ruby = re.search(r"^Message: (.+)$", text, re.MULTILINE)
    if ruby is not None:
        return f"the Vagrantfile cannot be read: {ruby.group(1)}"
    uncaught = _UNCAUGHT.search(text)
    if uncaught is not None:
        return " ".join(uncaught.group(1).split())
    announced = after_heading(text)
    if announced:
        return announced
    words = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    sentence = re.match(r".+?[.!](?= |$)", words)
    if sentence is not None:
        return sentence.group()
    return words or f"exit status {completed.returncode} without a word"


def not_booted(completed: Completed) -> tuple[str, ...]:
    """Return the machines that Vagrant was still waiting for when it gave up."""
    waited = re.findall(r"^==> (\S+): Waiting for machine to boot", completed.stdout, re.MULTILINE)
    booted = re.findall(r"^==> (\S+): Machine booted and ready", completed.stdout, re.MULTILINE)
    return tuple(name for name in dict.fromkeys(waited) if name not in booted)


def _refusal(doing: str, completed: Completed, log: Path | None, pace: float) -> VagrantError:
    """Return what Vagrant's words come to: those of a known kind, else its own, shortened."""
    own = reason(completed)
    known = told_by(completed.argv, completed.returncode, completed.stderr or completed.stdout)
    if known is None:
        return VagrantError(doing, own, details=last_warning(completed), where=log)
    happened = known.happened
    late = not_booted(completed) if _NO_BOOT in completed.stderr + completed.stdout else ()
    if late:
        happened += f": {', '.join(late)}, after {BOOT_SECONDS * pace:.0f}s"
    details = [line for line in (own, last_warning(completed)) if line]
    return VagrantError(
        doing,
        happened,
        details="\n".join(details),
        remedy=known.remedy,
        where=log,
        late=late,
    )


def last_warning(completed: Completed) -> str | None:
    """Return the last warning Vagrant printed for a machine, None without any."""
    warnings = re.findall(r"^\s+(\S+: Warning: .+)$", completed.stdout, re.MULTILINE)
    return warnings[-1] if warnings else None


@contextlib.contextmanager
def _asking(doing: str) -> Iterator[None]:
    try:
        yield
    except subprocess.CalledProcessError as failed:
        raise VagrantError(doing, f"vagrant ended with {failed.returncode}") from failed
    except (IndexError, ValueError) as odd:
        # python-vagrant splits plain lines among machine-readable ones without looking.
        raise VagrantError(doing, f"python-vagrant could not read the answer: {odd}") from odd
