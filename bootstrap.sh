#!/bin/sh
# Makes this checkout usable on this host, then runs a command in it. The Makefile calls it.
#
#   sh bootstrap.sh [--lab | --tests] [--dev] COMMAND...   set up what is missing, run COMMAND
#   sh bootstrap.sh --look COMMAND...                      change nothing; COMMAND if it can run
#
#   --lab    the host needs Vagrant and a provider     --tests  the same, but goes on without a
#   --dev    the linters and type stubs as well                 container engine that can run
#
# A clean Debian or Ubuntu has neither Python nor anything else, so this file is POSIX sh and does
# only what comes before Python: find or install it, hand over to harness/preflight for the rest
# of the host, make the virtual environment. All narration goes to stderr.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
venv=$here/.venv
needs=
dev=
look=
while [ $# -gt 0 ]; do
    case $1 in
        --lab) needs=--lab ;;
        --tests) needs=--tests ;;
        --dev) dev=-dev ;;
        --look) look=1 ;;
        *) break ;;
    esac
    shift
done

say() { printf '%s\n' "$*" >&2; }

# The last line on stderr is the same as that of k0s-harness: make turns every status into 2.
give_up() {
    say "k0s-harness: exit $1: $2"
    exit "$1"
}

# ---- Python ------------------------------------------------------------------------------------

# Every Python here is started with -I: the current folder may be anybody's, and neither what lies in
# it (a venv.py, a harness/) nor PYTHONPATH or the user's own packages are to be imported.

# Debian's python3 without python3-venv has the module venv but not ensurepip, which it needs.
is_usable() {
    "$1" -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# A name on PATH may be a pyenv shim without a version behind it: each candidate is tried.
find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if is_usable "$candidate"; then
            python=$candidate
            return 0
        fi
    done
    return 1
}

# Debian and Ubuntu releases on which set-up is done for the user; harness/host/tools.py has
# the same.
system() {
    [ -r /etc/os-release ] || return 0
    # shellcheck source=/dev/null
    (. /etc/os-release && printf '%s %s' "${ID:-}" "${VERSION_ID:-}")
}

python_packages="python3 python3-venv"
# What harness/preflight/setup.py installs next, from the lists that it reads itself, so that the user
# is asked once for all: a program, its package, what for.
provider=${PROVIDER:-docker}
lab_packages=
for list in host "providers/$provider" images/box; do
    # A provider without these files is made of no box.
    [ "$list" != images/box ] || [ -d "$here/boxes/vm/providers/$provider" ] || continue
    [ -r "$here/harness/$list/tools.txt" ] || continue
    while read -r program package _; do
        case "$program $lab_packages " in
            '#'* | ' '* | *" $package "*) ;;
            *) lab_packages="$lab_packages $package" ;;
        esac
    done <"$here/harness/$list/tools.txt"
done
lab_packages=${lab_packages# }

install_python() {
    then=
    [ -z "$needs" ] || then="; next come, where they are missing: $lab_packages"
    command="apt-get update && apt-get install --no-install-recommends $python_packages"
    [ "$(id -u)" = 0 ] || command="sudo sh -c '$command'"
    case $(system) in
        'debian 12' | 'debian 13' | 'ubuntu 24.04') ;;
        *)
            say "Missing: Python 3.11 or newer with its venv module$then."
            say "  -> install it with this system's package manager, or set PYTHON=/path/to/python3"
            give_up 3 "there is no Python 3.11 or newer with venv"
            ;;
    esac
    if [ -n "${NO_INSTALL:-}$look" ]; then
        say "Missing: $python_packages$then. Nothing was changed."
        say "  -> $command"
        give_up 3 "there is no Python 3.11 or newer with venv"
    fi
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        say "Missing: $python_packages$then. This user is not root and has no password-less sudo."
        say "  -> $command"
        give_up 3 "there is no Python 3.11 or newer with venv, and no right to install it"
    fi
    if [ "$(id -u)" != 0 ] && [ -z "${CI:-}${YES:-}" ]; then
        if [ ! -t 0 ]; then
            say "Missing: $python_packages$then. There is no terminal to ask on."
            say "  -> YES=1 make ...   or   $command"
            give_up 3 "Python is missing and nobody can be asked; YES=1 answers yes"
        fi
        printf 'To be installed with apt-get: %s%s. Go on? [y/N] ' "$python_packages" "$then" >&2
        read -r answer || answer=
        case $answer in
            [yY] | [yY][eE][sS]) ;;
            *) give_up 3 "nothing was installed; by hand: $command" ;;
        esac
        # Asked once: the next stage says what it does, and does it.
        YES=1
        export YES
    fi
    say "==> Installing $python_packages with apt-get (up to 10 min)"
    began=$(date +%s)
    log=$(mktemp)
    new=
    for package in $python_packages; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            new="$new $package"
    done
    # shellcheck disable=SC2086  # a list of words
    if ! { apt_get update && apt_get install -y --no-install-recommends $python_packages; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        give_up 3 "apt-get could not install $python_packages; by hand: $command"
    fi
    rm -f "$log"
    record "$new"
    say "    done in $(($(date +%s) - began))s"
}

apt_get() {
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi
    # 300 s: another apt (unattended-upgrades after boot) may hold the lock for minutes.
    $sudo env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# What was installed, with the command that undoes it: one JSON line, read by harness/host/admin.py.
record() {
    [ -n "$1" ] || return 0
    state=${K0S_HARNESS_STATE:-${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/k0s-harness}
    (umask 077 && mkdir -p "$state")
    # shellcheck disable=SC2086  # a list of words
    words=$(printf '"%s", ' $1)
    printf '{"time": "%s", "did": "installed", "what": [%s], "undo": "apt-get purge --autoremove%s"}\n' \
        "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${words%, }" "$1" >>"$state/host.jsonl"
}

# ---- The virtual environment ---------------------------------------------------------------------

# A stamp names what the environment was made from and where: a moved checkout has stale scripts.
fingerprint() {
    printf '%s\n' "$here"
    cksum <"$here/requirements$1.lock"
    cksum <"$here/pyproject.toml"
}

is_ready() {
    [ -x "$venv/bin/python" ] && [ "$(fingerprint "$1")" = "$(cat "$venv/.made$1" 2>/dev/null)" ]
}

# Only one make at a time builds it; flock is essential on Debian and Ubuntu, absent on macOS.
make_environment() {
    if command -v flock >/dev/null 2>&1; then
        exec 9<"$here/requirements.lock"
        flock -n 9 || {
            say "==> Waiting for another make that is setting up $venv"
            flock 9
        }
        if is_ready "$dev"; then
            exec 9<&-
            return 0
        fi
    fi
    say "==> Python environment in .venv (up to 10 min)"
    began=$(date +%s)
    if ! "$venv/bin/python" -I -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        "$python" -I -m venv --clear "$venv" >&2 || give_up 3 "$python cannot make $venv"
    fi
    rm -f "$venv/.made" "$venv/.made-dev"
    # The user's pip settings (certificates, mirrors, wheel folders) are respected; only those that
    # would put packages elsewhere are overruled. Every file's hash must be in the lock.
    if ! {
        pip_install --no-deps --require-hashes -r "$here/requirements$dev.lock" &&
            pip_install --no-deps --no-index --no-build-isolation -e "$here"
    } >"$venv/setup.log" 2>&1 </dev/null; then
        tail -n 15 "$venv/setup.log" >&2
        say "  -> pip needs a package index or a folder of wheels: see PIP_INDEX_URL, PIP_FIND_LINKS, PIP_CERT"
        say "  The rest is in $venv/setup.log"
        give_up 3 "the Python packages could not be installed"
    fi
    # The development lock holds everything that the other one does, in the same versions.
    fingerprint '' >"$venv/.made"
    [ -z "$dev" ] || fingerprint "$dev" >"$venv/.made-dev"
    exec 9<&-
    say "    done in $(($(date +%s) - began))s"
}

# The variables of Python are taken out for the programs that pip starts.
pip_install() {
    env -u PIP_TARGET -u PIP_PREFIX -u PYTHONPATH -u PYTHONHOME PIP_USER=0 \
        PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 "$venv/bin/python" -I -m pip install "$@"
}

# ---- All together ----------------------------------------------------------------------------------

# The host's part needs only the standard library, so it runs before there is an environment.
# -m alone would look for it in the current folder first.
on_host() {
    "$python" -I -B -c 'import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("harness.preflight.setup", run_name="__main__", alter_sys=True)' "$here" "$@"
}

if is_ready "$dev"; then
    python=$venv/bin/python
elif [ -n "$look" ]; then
    if find_python; then
        status=0
        on_host --report || status=$?
        say "    The Python environment is not made yet: the first make does it."
        exit "$status"
    fi
    needs=--lab
    install_python
elif ! find_python; then
    install_python
    find_python || give_up 3 "no usable Python after installing $python_packages"
fi

[ -z "$needs" ] || on_host "$needs" || exit $?
is_ready "$dev" || make_environment

PATH=$venv/bin:$PATH
VIRTUAL_ENV=$venv
export PATH VIRTUAL_ENV
# Of another Python; as venv's own activate script does with the one of them that it knows.
unset PYTHONHOME PYTHONPATH
# Images of containers set it for what they hold; here it costs every start 1.5 s of compiling.
unset PYTHONDONTWRITEBYTECODE

# A user who joined the group docker or libvirt a moment ago is in it only in a new login, or under
# sg. Where libvirt asks polkit about users its socket is open to all of them.
case ${PROVIDER:-} in
    libvirt) group=libvirt socket=/run/libvirt/libvirt-sock elsewhere= ;;
    *) group=docker socket=/var/run/docker.sock elsewhere=${DOCKER_HOST:-} ;;
esac
if [ -S $socket ] && [ ! -w $socket ] && [ -z "$elsewhere" ] &&
    id -nG "$(id -un)" | tr ' ' '\n' | grep -qx $group && command -v sg >/dev/null 2>&1; then
    quoted=
    for word in "$@"; do
        quoted="$quoted '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
    done
    exec sg $group -c "exec$quoted"
fi
exec "$@"
