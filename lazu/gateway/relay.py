"""The relay: one thread a process that waits for all calls of the upstream, for both ends of each, by epoll.

It knows sockets by their numbers and calls by what they can do (`Member`); nothing of HTTP. A member belongs to the
relay's thread from `join` until its `close`.
"""

import logging
import os
import select
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from lazu import clock

#: Seconds between two looks for what takes too long.
TICK = 1.0

_LEFT = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

log = logging.getLogger(__name__)


class Member(Protocol):
    """A call that waits, until it is `over`."""

    over: bool

    @property
    def client_fd(self) -> int:
        """The descriptor of the client's connection."""

    @property
    def server_fd(self) -> int:
        """The descriptor of the upstream's connection, -1 if there is none."""

    @property
    def blocked(self) -> bool:
        """Whether it waits for the client to read, and for nothing of the server."""

    def begin(self) -> None:
        """The relay has it."""

    def read(self) -> None:
        """The server has sent something, or ended."""

    def flush(self) -> None:
        """The client reads again."""

    def leave(self) -> None:
        """The client has hung up."""

    def check(self, now: float) -> None:
        """Give up what takes too long; `now` is the monotonic clock's. Called every `TICK`."""

    def stop(self) -> None:
        """Give up: the process ends."""

    def close(self) -> None:
        """It is over, and out of the relay."""


class Relay:
    """The members that wait, by both of their descriptors."""

    def __init__(self) -> None:
        self._joining: SimpleQueue[Member] = SimpleQueue()
        self._members: dict[int, Member] = {}
        self._blocked: set[Member] = set()
        self._stopping = False

    def start(self) -> None:
        """Be ready for `join`; once, in the process that serves: threads and epoll do not survive gunicorn's fork.

        Raises `OSError` and `RuntimeError` where no descriptor or no thread is left.
        """
        self._poll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._bell, select.EPOLLIN)
        threading.Thread(target=self._run, name="lazu-relay", daemon=True).start()

    def join(self, member: Member) -> None:
        """Take `member` on, from any thread; after `start`."""
        self._joining.put(member)
        os.eventfd_write(self._bell, 1)

    def stop(self) -> None:
        """Let all members give up, also those that are still to join; from any thread, after `start`."""
        self._stopping = True
        os.eventfd_write(self._bell, 1)

    def _run(self) -> None:
        checked = clock.monotonic()
        try:
            while True:
                self._turn()
                if self._stopping or clock.monotonic() - checked >= TICK:
                    checked = clock.monotonic()
                    self._check(checked)
        finally:
            # Only a bug comes here. A worker without its relay would keep its callers waiting for ever; the master
            # starts another one, and takes back the places of this one's calls.
            try:
                log.critical("the relay failed, and with it this worker", exc_info=True)
            finally:  # what let the relay fail, as no memory, lets this line fail too
                os._exit(1)

    def _turn(self) -> None:
        """Wait for what happens, and see to it."""
        rung = False
        for fd, events in self._poll.poll(TICK):
            member = self._members.get(fd)
            if member is not None:  # else it is over since the event
                self._serve(member, fd, events)
                self._settle(member)
            rung = rung or fd == self._bell
        if rung:  # not before: a new member may have the number of a descriptor that was closed in this turn
            self._admit()

    def _serve(self, member: Member, fd: int, events: int) -> None:
        if fd != member.client_fd:
            member.read()
        elif events & _LEFT:
            member.leave()
        else:
            member.flush()

    def _admit(self) -> None:
        os.eventfd_read(self._bell)
        with suppress(Empty):
            while True:
                member = self._joining.get_nowait()
                self._members[member.client_fd] = member
                self._poll.register(member.client_fd, select.EPOLLRDHUP)
                if member.server_fd >= 0:
                    self._members[member.server_fd] = member
                    self._poll.register(member.server_fd, select.EPOLLIN)
                member.begin()
                self._settle(member)

    def _settle(self, member: Member) -> None:
        """Let epoll watch what `member` waits for now."""
        if member.over:
            self._drop(member)
        elif member.blocked != (member in self._blocked):
            if member.blocked:
                self._blocked.add(member)
                self._poll.modify(member.client_fd, select.EPOLLRDHUP | select.EPOLLOUT)
                self._unregister(member.server_fd)  # else its end would wake us again and again
            else:
                self._blocked.remove(member)
                self._poll.modify(member.client_fd, select.EPOLLRDHUP)
                self._poll.register(member.server_fd, select.EPOLLIN)

    def _drop(self, member: Member) -> None:
        for fd in (member.client_fd, member.server_fd):
            self._members.pop(fd, None)
            self._unregister(fd)
        self._blocked.discard(member)
        member.close()

    def _unregister(self, fd: int) -> None:
        if fd >= 0:
            with suppress(FileNotFoundError):  # a blocked member's server
                self._poll.unregister(fd)

    def _check(self, now: float) -> None:
        for member in set(self._members.values()):
            if self._stopping:
                member.stop()
            else:
                member.check(now)
            self._settle(member)
