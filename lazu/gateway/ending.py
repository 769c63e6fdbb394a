"""The last event of a stream: who has it has the whole answer, and closes before the stream's own end, as the SDKs do.

Chat completions end with `data: [DONE]`; the Responses API with `response.completed`, `response.incomplete`,
`response.failed` or `error`, which may be as long as the whole answer (OpenAI's reference, "Streaming events").
"""

import re

_DONE = re.compile(rb"data: ?\[DONE\]\s*(?:[\r\n]|\Z)")
_DONE_BYTES = 16

#: How a last event begins, in a line of its own; some servers leave its name to its data.
_LAST = re.compile(
    rb'(?:\A|[\r\n])(?:event: ?|data: ?\{"type": ?")(?:response\.(?:completed|incomplete|failed)|error)[\r\n"]'
)
#: Found in 64 KiB in a thirtieth of the time that the pattern takes.
_NAMES = (b"response.completed", b"response.incomplete", b"response.failed", b"error")
_EVENT_END = re.compile(rb"\n\r?\n")


class Ending:
    """What a client has of the end of a stream; comments may follow its last event.

    Each piece costs a look for five words. An event whose first line comes in two pieces is not known for the last.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._begun = False
        #: Whether the last event has been sent, and to its end.
        self.is_there = False

    def sent(self, piece: bytes) -> None:
        """Note the next piece."""
        if not piece or self.is_there:
            return
        self._tail = piece if len(piece) >= _DONE_BYTES else self._tail[-_DONE_BYTES:] + piece
        if not self._begun and any(name in piece for name in _NAMES):
            self._begin()
        ends = _EVENT_END.search(self._tail) if self._begun else b"[DONE]" in self._tail and _DONE.search(self._tail)
        self.is_there = bool(ends)

    def _begin(self) -> None:
        last = _LAST.search(self._tail)
        if last:
            self._begun, self._tail = True, self._tail[last.end() - 1 :]
