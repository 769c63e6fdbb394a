"""Files in a body of JSON: the bytes as they are, however they are read, or an error."""

import base64
import io
import json
from itertools import islice

import pytest

from lazu.errors import InternalError
from lazu.gateway import splice
from lazu.gateway.splice import Slice


class Trickle(io.BytesIO):
    """A file that is read 1000 bytes at a time at most, as one that comes from elsewhere."""

    def read(self, size=-1):
        return super().read(min(size, 1000))


@pytest.mark.parametrize("text", [False, True])
def test_a_file_that_comes_a_few_bytes_at_a_time_is_whole(text):
    data = b"\x00words, \"quoted\\\", and more\n" * 20_000
    filling = Slice(lambda: Trickle(data), len(data), text=text)
    sent = b"".join(filling)
    assert (json.loads(b'"' + sent + b'"').encode() if text else base64.b64decode(sent, validate=True)) == data
    assert len(filling) == len(sent)


@pytest.mark.parametrize("text", [False, True])
def test_a_file_that_is_shorter_than_it_was_is_an_error(text):
    """It was read for ever."""
    filling = Slice(lambda: io.BytesIO(b"short"), splice.PIECE + 100, text=text)
    with pytest.raises(InternalError):
        list(islice(filling, 3))
