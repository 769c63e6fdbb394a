"""Costly results that are the same for all requests, made by one thread at a time; and results that may be late."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from lazu import clock, slots
from lazu.errors import Busy, Overloaded

Value = TypeVar("Value")

#: Seconds to wait for what one thread makes for all, and to rest at most before it is made again.
SHARED_SECONDS, SHARED_REST = 10, 2.0
#: Seconds to wait for what may not come: Prometheus gives a scrape 10.
BRIEF_SECONDS = 7


class Shared(Generic[Value]):
    """The result of `make`, called by one thread at a time for all requests that came before the call began.

    Between two calls it rests as long as the last one took, `SHARED_REST` seconds at most.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = self._rests_until = 0.0

    def get(self, make: Callable[[], Value]) -> Value:
        """The value as it is now; raises what `make` does, `ClientLeft`, `Overloaded` if it takes too long."""
        asked = clock.monotonic()
        with slots.waiting():
            if not self._lock.acquire(timeout=SHARED_SECONDS):
                raise Overloaded
            if asked >= self._began:
                clock.sleep(max(0.0, self._rests_until - clock.monotonic()))
        try:
            slots.require_client()
            if asked >= self._began:
                self._renew(make)
            return self._value
        finally:
            self._lock.release()

    def _renew(self, make: Callable[[], Value]) -> None:
        began = clock.monotonic()
        try:
            self._value = make()
            self._began = began
        finally:
            ended = clock.monotonic()
            self._rests_until = ended + min(ended - began, SHARED_REST)


class Brief(Generic[Value]):
    """Give the result of `make` if it comes in time. What is late goes on, and until it ends nothing else is begun."""

    def __init__(self) -> None:
        self._made: Future[Value] | None = None

    def get(self, make: Callable[[], Value]) -> Value:
        """Raises what `make` does, `Busy` where no thread is left for it, and TimeoutError.

        `make` has a thread of its own; one thread at a time may call.
        """
        if self._made is None or self._made.done():
            self._made = self._begun(make)
            with slots.waiting():
                wait([self._made], BRIEF_SECONDS)
        if not self._made.done():
            raise TimeoutError("no answer yet")
        return self._made.result()

    def _begun(self, make: Callable[[], Value]) -> Future[Value]:
        made: Future[Value] = Future()
        try:
            threading.Thread(target=self._fulfil, args=(made, make), daemon=True).start()
        except RuntimeError as e:
            raise Busy("no thread left to ask; raise the limit (TasksMax, ulimit -u)") from e
        return made

    @staticmethod
    def _fulfil(made: Future[Value], make: Callable[[], Value]) -> None:
        try:
            made.set_result(make())
        except BaseException as e:  # noqa: BLE001 - raised by `get`
            made.set_exception(e)
