"""A chunked body (RFC 9112 §7.1) at the price of its bytes, however small its chunks are.

gunicorn's reader takes some microseconds for each chunk, so that chunks of one byte cost a thousand times what large
ones do. This one reads what the socket has, and takes runs of equal chunks apart by slices, without a loop in Python.
Chunks that are not plain (extensions, trailers, faults) are left to gunicorn's reader.
"""

import re
from collections.abc import Callable

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData

#: Bytes of one read from the socket: what stays in the processor's cache until it is hashed and written.
PIECE_BYTES = 512 * 1024

_END = b"\r\n"
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})\r\n")
_SIZE_BEGUN = re.compile(rb"[0-9a-fA-F]{0,8}\r?")

#: Chunks of up to so many bytes may make a run; a longer run is looked for when a shorter one was found.
_SMALL = 256
_SHORTEST_RUN, _LONGEST_RUN = 8, 2**17

#: Sizes of small chunks as clients write them; bytes that are looked through at once for a mixture of such chunks.
_SMALL_SIZES = {form % size: size for size in range(1, _SMALL + 1) for form in (b"%x", b"%X")}
_SHORTEST_LOOK, _LONGEST_LOOK = 2**8, 2**16
#: Chunks that are taken one by one where a look was worth nothing.
_PAUSE = 32

#: Pieces that one read gives at most: small chunks of all sizes take a microsecond each, and others want to work too.
_MOST_PIECES = 4096


class Chunks:
    """The body that `reader` would read, from `receive(size)`, which gives what the socket has; empty at its end."""

    def __init__(self, reader: ChunkedReader, receive: Callable[[int], bytes]) -> None:
        self._reader = reader
        self._receive = receive
        self._raw = bytes(reader.req.unreader.take_buffered())
        self._at = 0
        #: Bytes of the current chunk still to come, its line end included; 0 before the next size.
        self._left = 0
        self._longest = _SHORTEST_RUN
        self._look = _SHORTEST_LOOK
        self._pause = 0
        self._done = False

    @property
    def unread(self) -> bytes:
        """The bytes that have come and were not read, as they came."""
        return self._raw[self._at :]

    def read(self, _size: int = 0) -> bytes:
        """The next bytes, empty at the end.

        Raises what gunicorn raises for malformed chunks, `NoMoreData` when they end early, and what `receive` does.
        """
        out: list[bytes] = []
        while not self._done and len(out) < _MOST_PIECES:
            moved = self._content(out) if self._left else self._next(out)
            if not moved and out:
                break
            if not moved:
                self._more()
        return b"".join(out)

    def _more(self) -> None:
        piece = self._receive(PIECE_BYTES)
        if not piece:
            raise NoMoreData(b"")
        self._raw, self._at = self._raw[self._at :] + piece, 0

    def _content(self, out: list[bytes]) -> bool:
        """Go on in a chunk, and over its line end; False if more has to come first, as of all these."""
        if self._left > len(_END):
            content = self._raw[self._at : self._at + self._left - len(_END)]
            out += [content] if content else []  # an empty piece would be the end
            self._at += len(content)
            self._left -= len(content)
            return bool(content)
        end = self._raw[self._at : self._at + len(_END)]
        if not _END.startswith(end):
            raise ChunkMissingTerminator(end)
        if end != _END:
            return False
        self._at, self._left = self._at + len(_END), 0
        return True

    def _next(self, out: list[bytes]) -> bool:
        """Begin the next chunk, or take a run of small ones, or end."""
        line = _SIZE.match(self._raw, self._at)
        size = int(line[1], 16) if line else 0
        if line is None and _SIZE_BEGUN.fullmatch(self._raw, self._at):
            return False
        if line is None or size == 0:
            self._leave_to_gunicorn()
        elif size > _SMALL or not (self._run(line[0], size, out) or self._mixture(out)):
            self._at, self._left = line.end(), size + len(_END)
        return True

    def _run(self, line: bytes, size: int, out: list[bytes]) -> bool:
        """Take the chunks of this size that follow each other here; False if there are not several."""
        step = len(line) + size + len(_END)
        if not self._raw.startswith(line, self._at + step):
            return False
        count = asked = min(self._longest, (len(self._raw) - self._at) // step)
        frame = [*enumerate(line), *enumerate(_END, len(line) + size)]
        for place, byte in frame:
            column = self._column(place, count, step)
            count = len(column) - len(column.lstrip(bytes([byte])))
        self._longest = min(8 * count, _LONGEST_RUN) if count == asked else _SHORTEST_RUN
        if count:
            content = bytearray(count * size)
            for place in range(size):
                content[place::size] = self._column(len(line) + place, count, step)
            out.append(bytes(content))
            self._at += count * step
        return count > 0

    def _mixture(self, out: list[bytes]) -> bool:
        """Take the small chunks that follow each other here, of whatever sizes; False if there are none.

        Line ends divide sizes from contents until a content has one itself: there the next look begins.
        """
        if self._pause:
            self._pause -= 1
            return False
        lines = self._raw[self._at : self._at + self._look].split(_END)[:-1]
        contents = lines[1::2]
        sizes = [_SMALL_SIZES.get(line, -1) for line in lines[0 : 2 * len(contents) : 2]]
        count = len(sizes)
        if sizes != (lengths := list(map(len, contents))):
            count = next(place for place in range(count) if sizes[place] != lengths[place])
        self._look = min(8 * self._look, _LONGEST_LOOK) if count == len(sizes) else _SHORTEST_LOOK
        self._pause = 0 if count >= _SHORTEST_RUN else _PAUSE
        if count:
            out.append(b"".join(contents[:count]))
            self._at += sum(map(len, lines[: 2 * count])) + 2 * count * len(_END)
        return count > 0

    def _column(self, place: int, count: int, step: int) -> bytes:
        """The byte at `place` of each of the next `count` chunks."""
        return self._raw[self._at + place : self._at + count * step : step]

    def _leave_to_gunicorn(self) -> None:
        """Let gunicorn's reader judge the line that stands here, and read the trailers after the last chunk."""
        unreader = self._reader.req.unreader
        unreader.unread(self._raw[self._at :])
        size, rest = self._reader.parse_chunk_size(unreader)
        self._raw, self._at, self._left = rest or b"", 0, size + len(_END)
        if size == 0:
            self._done = True
            self._reader.parser = None
