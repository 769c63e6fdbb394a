"""The name of a file: read out of what a client sent, cleaned for the store, and its extension.

What is stored is one path segment; every rule about extensions looks at the stored name.
"""

import base64
import binascii
import quopri
import re
import unicodedata
from urllib.parse import unquote_to_bytes

MAX_BYTES = 255
#: Characters of a sent name that are looked at, at its beginning and at its end: in a JSON body one may have 128 MB.
_LOOKED_AT = 4096
#: Of an extension that a cut name keeps: one character of the stem, of up to four bytes, and the dot stand before it.
MAX_EXTENSION_BYTES = MAX_BYTES - 5

# Cc control, Cs surrogate, Zl and Zp line separators, Cf format characters, among them those of the bidirectional
# algorithm (Unicode UAX #9 §2).
_UNSEEN = {"Cc", "Cs", "Zl", "Zp", "Cf"}
# Default_Ignorable_Code_Point beyond those categories (Unicode 16, DerivedCoreProperties.txt).
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# What some scripts and emoji are written with: the joiners, and the variation selectors. Only the extension is read
# without them.
_WRITING = re.compile("[\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]")

# `a.exe::$DATA` is `a.exe` on NTFS ([MS-FSCC] §2.1.4: `:stream:$TYPE`).
_STREAM = re.compile(r":[^:]*:\$[A-Za-z_]+$")

# A parameter of a header, its value in quotes or plain; what stands within quotes is no parameter. Plain values go on
# to the next one, as clients mean them that forget the quotes: RFC 9110 §5.6.6 allows them no more than a token.
_PARAMETER = re.compile(r""";\s*([^\s=;"]+)\s*=(\s*"(?:\\.|[^\\"])*"\s*|[^;"]*)(?=;|\Z)""")
# RFC 8187 has `'()*` encoded too; `encodeURIComponent` of JavaScript leaves them as they are.
_EXTENDED = re.compile(r"([^']*)'[^']*'((?:%[0-9A-Fa-f]{2}|[A-Za-z0-9!#$&+.^_`|~'()*-])+)")
_ENCODED_WORD = re.compile(r"=\?([^?*]+)(?:\*[^?]*)?\?([bBqQ])\?([^? ]+)\?=")

#: The two of RFC 8187 §3.2.1, the common part of both, and a spelling that is not theirs but common.
_CHARSETS = {"utf-8", "iso-8859-1", "us-ascii", "utf8"}
#: Those of encoded words: what mail programs write and browsers decode.
_WORD_CHARSETS = re.compile(
    r"utf-?8|utf-(?:16|32)(?:[bl]e)?|us-ascii|iso-8859-(?:[1-9]|1[0-6])|windows-(?:874|125[0-8])|koi8-[ru]|gb2312|gbk"
    r"|gb18030|big5|shift_jis|euc-(?:jp|kr)|iso-2022-jp",  # of each other one Python would keep that it knows none
    re.IGNORECASE | re.ASCII,
)


def parameters(header: str) -> dict[str, str]:
    """The parameters of a Content-Type or Content-Disposition header as they were sent, the last of each name.

    Raises `ValueError` where anything is left over, so that no value is cut: at a quote within quotes, for one.
    """
    sent = header[header.find(";") :] if ";" in header else ""
    if _PARAMETER.sub("", sent).strip("; \t"):
        raise ValueError(header)
    return {name.lower(): value.strip() for name, value in _PARAMETER.findall(sent)}


def extended(sent: str) -> str:
    """A `filename*` (RFC 8187), decoded; raises `ValueError` where it is malformed or of another charset."""
    match = _EXTENDED.fullmatch(sent.strip('"'))
    if not match or match[1].lower() not in _CHARSETS:
        raise ValueError(sent)
    return unquote_to_bytes(match[2]).decode(match[1])


def unwrapped(filename: str) -> str:
    """`filename`, decoded if it is an encoded word (RFC 2047 §2), as .NET sends it by default, or several of them."""
    words = [_ENCODED_WORD.fullmatch(word) for word in filename.split()]
    try:
        return "".join(map(_decoded, words)) or filename
    except (binascii.Error, LookupError, ValueError):
        return filename


def _decoded(word: re.Match[str] | None) -> str:
    """The text of an encoded word; raises `ValueError` or a subclass if `word` is None or can't be decoded."""
    if not word or not _WORD_CHARSETS.fullmatch(word[1]):
        raise ValueError
    if word[2] in "bB":
        return base64.b64decode(word[3], validate=True).decode(word[1])
    return quopri.decodestring(word[3].encode(), header=True).decode(word[1])


def clean(sent: str, otherwise: str = "upload") -> str:
    """The name for what a client `sent`: one path segment of at most 255 bytes of UTF-8, or `otherwise`."""
    begin = max(sent.rfind("/"), sent.rfind("\\")) + 1
    last = sent[begin : begin + _LOOKED_AT] + sent[max(begin + _LOOKED_AT, len(sent) - _LOOKED_AT) :]
    seen = last if _plain(last) else "".join(c for c in last if not _hidden(c) or _WRITING.match(c))
    cut = _cut(_STREAM.sub("", seen))
    return cut if _bare(cut) else otherwise


def extension(name: str) -> str:
    """The last extension of a stored name, lower case, without the dot: `exe` for `a.EXE. `; may be empty.

    Characters that nobody sees are left out, and colons at the end: browsers on Windows drop these or make spaces of
    them.
    """
    _, dot, last = _without_end(_bare(name), ":.").casefold().rpartition(".")
    return last if dot else ""


def _plain(name: str) -> bool:
    """Whether everybody sees all of `name`, as nearly all names: cheaper than asking for each character."""
    return name.isascii() and name.isprintable()


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN or _IGNORABLE.match(character) is not None


def _bare(name: str) -> str:
    """`name` without what nobody sees, and without the dots and spaces at its end, which Windows drops too."""
    return _without_end(name if _plain(name) else "".join(c for c in name if not _hidden(c)))


def _without_end(name: str, marks: str = ".") -> str:
    """`name` without `marks` and spaces at its end; a pattern would look at each run of them again and again."""
    end = len(name)
    while end and (name[end - 1] in marks or name[end - 1].isspace()):
        end -= 1
    return name[:end]


def _cut(name: str) -> str:
    """`name` in at most 255 bytes: a longer one loses characters of its stem, never its extension."""
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, last = _without_end(name).rpartition(".")
    if not dot or len(last.encode()) > MAX_EXTENSION_BYTES:
        stem, dot, last = name, "", ""
    room = MAX_BYTES - len((dot + last).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + last
