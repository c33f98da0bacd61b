from __future__ import annotations

import threading

import pytest

from harness.lab import locks
from harness.lab.locks import FileLock
from harness.lab.locks import host_lock
from harness.lab.locks import is_held
from harness.wait import SystemClock
from harness.wait import WaitTimeoutError


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
