"""Headers of mail as they are met: encoded words (RFC 2047), and parameters, in quotes or not (RFC 2045, RFC 2231).

Python's own parser ends a value without quotes at `=`, `/`, `(` or a blank, and takes each charset at its word.
"""

import base64
import binascii
import re
from collections import defaultdict
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from lazu.documents import encodings

_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
_WORDS = re.compile(rf"{_WORD.pattern}(?:\s*{_WORD.pattern})*")

#: Characters of a header with parameters that are looked at: each quote may be tried up to the end.
_LOOKED_AT = 4096

#: What a part is, or how it is to be shown: one word, or two with a slash between.
_KIND = re.compile(r"\s*([^\s;(/=]+)(?:\s*/\s*([^\s;(=]+))?")

#: Where the next parameter begins, the semicolon before it forgotten or not.
_NEXT = r"(?:\s*(?:;|$)|\s+(?=(?:charset|boundary|format|delsp|type|name|filename)\*?=))"
_QUOTED, _BARE = rf'"((?:\\.|[^\\])*?)"(?=\s*\(|{_NEXT})', rf"([^;]*?)(?={_NEXT})"
_PARAMETER = re.compile(
    rf"""{_NEXT}\s*([^\s=;"*]+)(\*\d{{1,3}})?(\*)?\s*=\s*(?:{_QUOTED}|{_BARE})""", re.IGNORECASE | re.DOTALL
)

#: Parameters with any characters: the value of another one ends at a comment.
_NAMES = ("name", "filename")


class _Piece(NamedTuple):
    """A piece of a value, and whether it is percent-encoded."""

    number: int
    encoded: bool
    sent: str


def readable(value: str) -> str:
    """Return the value of a header with its encoded words in UTF-8, all of which Python's parser knows."""
    return _WORDS.sub(lambda words: f"=?utf-8?b?{base64.b64encode(_text(words).encode()).decode()}?=", value)


def content(value: str) -> str:
    """Return the value of a Content-Type or Content-Disposition with a semicolon behind what it says first."""
    value = " ".join(value[:_LOOKED_AT].split())
    kind = _KIND.match(value)
    return f"{'/'.join(filter(None, kind.groups()))};{value[kind.end() :]}" if kind else value


def parameters(value: str) -> dict[str, str]:
    """Return the parameters of such a value by their names in small letters, each in full."""
    whole, pieces = dict[str, str](), defaultdict[str, list[_Piece]](list)
    for found in _PARAMETER.finditer(value):
        name, sent = found[1].lower(), found[5] if found[4] is None else re.sub(r'\\(["\\])', r"\1", found[4])
        if found[2] or found[3]:
            pieces[name].append(_Piece(int((found[2] or "*0")[1:]), bool(found[3]), sent))
        else:
            sent = sent.strip('"')  # one alone
            whole.setdefault(name, _WORDS.sub(_text, sent if name in _NAMES else sent.partition(" (")[0]))
    return whole | {name: _joined(sorted(found)) for name, found in pieces.items()}


def _joined(pieces: list[_Piece]) -> str:
    """Return a value that was sent in pieces, the first of which may name its charset."""
    charset, sent = "", [piece.sent for piece in pieces]
    if not any(piece.encoded for piece in pieces):
        return _WORDS.sub(_text, "".join(sent))
    if sent[0].count("'") >= 2:
        charset, _, sent[0] = sent[0].split("'", 2)
    data = (
        unquote_to_bytes(text) if piece.encoded else text.encode() for piece, text in zip(pieces, sent, strict=True)
    )
    return encodings.named(b"".join(data), charset)


def _text(words: re.Match[str]) -> str:
    """Return what encoded words say. Some programs cut a letter in two: those of one charset are one text."""
    texts, data, charset = list[str](), b"", ""
    for word in _WORD.finditer(words[0]):
        if word[1].lower() != charset:
            texts.append(encodings.named(data, charset))
            data, charset = b"", word[1].lower()
        data += _bytes(word)
    return "".join([*texts, encodings.named(data, charset)])


def _bytes(word: re.Match[str]) -> bytes:
    """Return the bytes of an encoded word; one that is none stays as it is."""
    sent = word[3].encode(errors="replace")
    if word[2] in "qQ":
        return binascii.a2b_qp(sent, header=True)
    try:
        return binascii.a2b_base64(sent + b"==")
    except binascii.Error:
        return word[0].encode(errors="replace")
