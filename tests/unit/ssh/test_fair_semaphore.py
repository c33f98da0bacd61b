"""Sessions of an SSH connection go to those who wait, in the order in which they came."""

from __future__ import annotations

import threading
import time

from harness.ssh.fair_semaphore import FairSemaphore


def waits(semaphore, how_many):
    until = time.monotonic() + 5
    while semaphore.waiting < how_many and time.monotonic() < until:
        time.sleep(0.001)
    assert semaphore.waiting == how_many


def test_who_gives_it_back_does_not_get_it_again_before_those_who_wait():
    semaphore = FairSemaphore(1)
    assert semaphore.acquire(timeout=0)
    came = []

    def work(name):
        assert semaphore.acquire(timeout=5)
        came.append(name)
        semaphore.release()

    threads = []
    for index in range(3):
        threads.append(threading.Thread(target=work, args=(index,)))
        threads[-1].start()
        waits(semaphore, index + 1)
    semaphore.release()
    assert semaphore.acquire(timeout=5)
    assert came == [0, 1, 2]
    for thread in threads:
        thread.join()


def test_it_lets_in_as_many_as_it_is_told():
    semaphore = FairSemaphore(2)
    assert semaphore.acquire(timeout=0)
    assert semaphore.acquire(timeout=0)
    assert not semaphore.acquire(timeout=0.01)
    semaphore.release()
    assert semaphore.acquire(timeout=0)


def test_who_gave_up_waiting_is_not_given_a_turn():
    semaphore = FairSemaphore(1)
    assert semaphore.acquire(timeout=0)
    assert not semaphore.acquire(timeout=0.01)
    assert semaphore.waiting == 0
    semaphore.release()
    assert semaphore.acquire(timeout=0)
