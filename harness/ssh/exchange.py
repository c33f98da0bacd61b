"""What a command on a machine is given and says, over a channel of paramiko, until its deadline."""

from __future__ import annotations

import select
import time

import paramiko

from harness.base.output import Kept

CHUNK_BYTES = 65536
# Room to send is told by no file descriptor, so it is looked for this often.
SEND_SECONDS = 0.02


def exchange(
    channel: paramiko.Channel, stdin: str | None, out: Kept, err: Kept, until: float
) -> bool:
    """Hand `stdin` over and take both streams until the command ended.

    Returns whether it did before `until`: a command that reads nothing, or writes without end, has
    its deadline all the same. Raises what paramiko does when the connection is lost.
    """
    given = stdin.encode() if stdin is not None else None
    handed = 0
    while True:
        over = channel.eof_received or channel.closed
        moved = _receive(channel, out, err)
        left = until - time.monotonic()
        if over and not moved:
            return channel.status_event.wait(max(0.0, left))
        if left <= 0:
            return False
        if given is not None and not over:
            sent = _send(channel, given[handed : handed + CHUNK_BYTES])
            moved = moved or bool(sent)
            handed += sent or 0
            if sent is None:
                given = None
        if not moved:
            select.select([channel], [], [], left if given is None else min(left, SEND_SECONDS))


def _receive(channel: paramiko.Channel, out: Kept, err: Kept) -> bool:
    """Take a chunk of each stream that has one; return whether any had."""
    ready = (channel.recv_ready(), channel.recv_stderr_ready())
    if ready[0]:
        out.add(channel.recv(CHUNK_BYTES))
    if ready[1]:
        err.add(channel.recv_stderr(CHUNK_BYTES))
    return any(ready)


def _send(channel: paramiko.Channel, chunk: bytes) -> int | None:
    """Send what the machine has room for, without a chunk the end; return None once it is over."""
    try:
        if not chunk:
            channel.shutdown_write()
            return None
        return channel.send(chunk) if channel.send_ready() else 0
    except OSError:
        # The command ended without reading it all, which is its own affair; of a connection that
        # is gone the reader learns as well.
        return None
