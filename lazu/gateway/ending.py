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
#: Found in 64 KiB in a thirtieth of the time that the pattern takes. `error` is short, and comes in one piece.
_LONG = (b"response.completed", b"response.incomplete", b"response.failed")
_EVENT_END = re.compile(rb"\n\r?\n")


class Ending:
    """What a client has of the end of a stream; comments and empty pieces may follow its last event.

    Each piece costs a look for three words. An event whose first line comes in two pieces is not known for the last.
    """

    def __init__(self) -> None:
        self._tail = b""
        #: A last event has begun; it has ended.
        self._begun = self._ended = False

    def sent(self, piece: bytes) -> None:
        """Note the next piece."""
        if not piece or self._ended:
            return
        self._tail = piece if len(piece) >= _DONE_BYTES else self._tail[-_DONE_BYTES:] + piece
        if any(name in piece for name in _LONG):
            self._begun = self._begun or _LAST.search(piece) is not None
        if self._begun or b"[DONE]" in self._tail:
            self._ended = self.is_there()

    def is_there(self) -> bool:
        """Whether the last event has been sent, and to its end."""
        if self._ended or _DONE.search(self._tail):
            return True
        last = _LAST.search(self._tail)
        return bool((last or self._begun) and _EVENT_END.search(self._tail, last.end() - 1 if last else 0))
