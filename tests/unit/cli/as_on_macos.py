"""`k0s-harness` as on a Mac, as far as that can be told without one: a program for test_macos.py.

The files of Linux alone are not there, and neither are the names that its Python has and a Mac's
does not. Each argument is a command line; a line of JSON says its exit code and what it wrote.
That its modules name no others is mypy's part (`.ci/lint`).
"""

import contextlib
import io
import json
import os
import select
import signal
import sys
import sysconfig
import types

LINUX_FILES = ("/proc", "/sys", "/run", "/etc/os-release")
LINUX_NAMES = {
    os: "waitid pidfd_open sched_getaffinity pipe2 fdatasync memfd_create splice getresuid O_PATH",
    select: "epoll",
    signal: "pidfd_send_signal sigtimedwait",
}

_stat = os.stat


def refuse(path: object) -> None:
    if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(LINUX_FILES):
        raise FileNotFoundError(2, "No such file or directory", os.fspath(path))


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"open", "os.listdir", "os.scandir"}:
        refuse(arguments[0])


def stat_as_there(path, *words, **options):
    refuse(path)
    return _stat(path, *words, **options)


# Its name is of the platform that this Python was made for.
sysconfig.get_config_vars()
sys.addaudithook(watch)
os.stat = stat_as_there
for module, names in LINUX_NAMES.items():
    for name in names.split():
        vars(module).pop(name, None)
# urllib asks the system for its proxies.
proxies = types.ModuleType("_scproxy")
proxies._get_proxy_settings = proxies._get_proxies = dict
sys.modules["_scproxy"] = proxies
sys.platform = "darwin"

from harness.cli import main  # noqa: E402  # imported as it would be there

for line in sys.argv[1:]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(line.split())
        except SystemExit as ended:
            code = ended.code
    sys.stdout.write(json.dumps([code, out.getvalue(), err.getvalue()]) + "\n")
