from __future__ import annotations

import os
import threading

import pytest

from harness.base import locks
from harness.base.errors import InfrastructureError
from harness.base.locks import FileLock, host_lock, is_held
from harness.base.wait import SystemClock, WaitTimeoutError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "lock_path", lambda name: tmp_path / f"{name}.lock")
    return tmp_path


def test_the_second_waits_and_is_told_for_whom(folder):
    told = []
    first = FileLock(folder / "machines.lock")
    assert first.try_acquire("run k5-abc123 (konnectivity-off)")
    threading.Timer(0.2, first.release).start()
    with host_lock("machines", holder="me", bound=10, clock=SystemClock(), narrate=told.append):
        assert is_held(folder / "machines.lock")
    assert told == ["waiting for run k5-abc123 (konnectivity-off)"]
    assert not is_held(folder / "machines.lock")


def test_waiting_has_a_bound_and_says_who_was_waited_for(folder):
    first = FileLock(folder / "machines.lock")
    first.try_acquire("run k5-abc123")
    waiting = host_lock(
        "machines", holder="me", bound=0.2, clock=SystemClock(), narrate=lambda _text: None
    )
    with pytest.raises(WaitTimeoutError, match="run k5-abc123"), waiting:
        pytest.fail("two have the lock")
    first.release()


def test_looking_at_a_lock_does_not_take_it(folder):
    path = folder / "lock"
    assert not is_held(path)
    lock = FileLock(path)
    assert lock.try_acquire("me")
    assert is_held(path)
    assert lock.holder() == "me"
    lock.release()
    lock.release()
    assert not is_held(path)


def test_the_lock_goes_when_what_it_guards_fails(folder):
    guarded = host_lock(
        "names", holder="me", bound=1, clock=SystemClock(), narrate=lambda _text: None
    )
    with pytest.raises(RuntimeError), guarded:
        raise RuntimeError
    assert not is_held(folder / "names.lock")


@pytest.mark.parametrize(
    "kind",
    ["a link", "a dangling link", "a hard link", "a pipe", "a folder", "a program", "a text"],
)
def test_what_lies_in_the_place_of_a_lock_and_is_none_stays_as_it_is(folder, kind):
    path, precious = folder / "names.lock", folder / "precious"
    precious.write_text("precious")
    if kind == "a link":
        path.symlink_to(precious)
    elif kind == "a dangling link":
        path.symlink_to(folder / "new")
    elif kind == "a hard link":
        path.hardlink_to(precious)
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.write_text("#!/bin/sh\n" if kind == "a program" else "a text\n" * 1000)
        path.chmod(0o755 if kind == "a program" else 0o644)
    before = path.lstat()
    with pytest.raises(InfrastructureError, match="Opening the lock"):
        FileLock(path).try_acquire("me")
    assert not is_held(path)
    assert FileLock(path).holder() == ""
    assert precious.read_text() == "precious"
    assert not (folder / "new").exists()
    after = path.lstat()
    assert (after.st_size, after.st_mode) == (before.st_size, before.st_mode)


def test_of_what_a_holder_says_no_more_is_read_and_written_than_a_line(folder):
    lock = FileLock(folder / "names.lock")
    assert lock.try_acquire("\udcff" + "x" * 10_000)
    lock.release()
    assert len(lock.holder()) <= locks.HOLDER_BYTES
    # So that the next one still takes it for a lock.
    assert lock.try_acquire("me")
    lock.release()


def test_a_lock_is_for_all_users_whatever_the_umask_of_the_first(folder):
    before = os.umask(0o077)
    try:
        lock = FileLock(folder / "names.lock")
        assert lock.try_acquire("me")
        lock.release()
    finally:
        os.umask(before)
    assert (folder / "names.lock").stat().st_mode & 0o777 == 0o666
