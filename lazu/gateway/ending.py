"""The last event of a stream: who has it has the whole answer, and closes before the stream's own end, as the SDKs do.

Chat completions end with `data: [DONE]`; the Responses API with `response.completed`, `response.incomplete`,
`response.failed` or `error`, which may be as long as the whole answer (OpenAI's reference, "Streaming events").
Either may end with `data: {"error": …}`: so vLLM, SGLang, LiteLLM and llama.cpp tell of a fault, OpenRouter with other
members before it, and OpenAI's SDK raises it and closes there. (Ollama just ends. An old llama.cpp's line `error: …` is
no event: SDKs read on.)
"""

import json
import re
from contextlib import suppress

#: A line of its own: the words of a model may have it, too.
_DONE = re.compile(rb"[\r\n]data: ?\[DONE\]\s*(?:[\r\n]|\Z)")

#: How a last event begins, in a line of its own; some servers leave its name to its data.
_LAST = re.compile(rb'[\r\n](?:event: ?|data: ?\{"type": ?")(?:response\.(?:completed|incomplete|failed)|error)[\r\n"]')
#: A whole line with the data of an event.
_DATA = re.compile(rb"[\r\n]data: ?(\{[^\r\n]*)(?=[\r\n])")
#: Found in 64 KiB in a thirtieth of the time that the pattern takes.
_NAMES = (b"response.completed", b"response.incomplete", b"response.failed", b"error")
_EVENT_END = re.compile(rb"\n\r?\n")

#: Bytes of a line whose rest has not come that are kept: more than what tells of an error is long.
_LINE_BYTES = 16 * 1024
#: And of a longer one: more than what any other of these patterns takes.
_KEPT_BYTES = 64


class Ending:
    """What a client has of the end of a stream, in whatever pieces; comments may follow its last event.

    Each piece costs a look for five words.
    """

    def __init__(self) -> None:
        self._tail = b"\n"
        self._begun = False
        #: Whether the last event has been sent, and to its end.
        self.is_there = False

    def sent(self, piece: bytes) -> None:
        """Note the next piece."""
        if not piece or self.is_there:
            return
        text = self._tail + piece
        if not self._begun and any(name in text for name in _NAMES) and (last := _LAST.search(text) or _error(text)):
            self._begun, text = True, text[last.end() - 1 :]
        ends = _EVENT_END.search(text) if self._begun else b"[DONE]" in text and _DONE.search(text)
        self.is_there = bool(ends)
        line = text[max(0, text.rfind(b"\n")) :]
        self._tail = line if len(line) <= _LINE_BYTES else line[-_KEPT_BYTES:]


def _error(text: bytes) -> re.Match[bytes] | None:
    """Find data with a member `error` that says something, which is what OpenAI's SDK raises."""
    for line in _DATA.finditer(text):
        if b'"error"' in line[1]:  # within a string its quotes would be escaped
            with suppress(ValueError, RecursionError):
                if json.loads(line[1]).get("error"):
                    return line
    return None
