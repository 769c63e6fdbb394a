"""Text files: bytes of an unknown encoding become text, or are found to be no text.

The order is the promise: a byte order mark, whole UTF-8, what the file itself declares, UTF-8 with broken characters,
UTF-16 and UTF-32 that are evident; only then the statistics of letters (docs/decisions/0082-office.md: measured).
"""

import codecs
import functools
import re
import sys
import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from lazu.documents import charsets, jis, looks, refusals, terminal

#: Bytes that the detector looks at, of lines from all over the file.
SAMPLE = 128 << 10

_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

#: Where files declare their encoding: XML, HTML, CSS, Python and Emacs, Vim, gettext.
_DECLARED = re.compile(
    rb"""<\?xml[^>]{1,80}encoding\s*=\s*["']([\w.:-]+)|<meta[^>]{1,200}charset\s*=\s*["']?([\w.:-]+)|"""
    rb"""^@charset\s+"([\w.:-]+)"|coding[:=]\s*([\w.-]+)|^"?Content-Type:[^\n]{1,80}charset=([\w.:-]+)""",
    re.IGNORECASE | re.MULTILINE,
)
_DECLARED_WITHIN = 4096

#: Escape sequences that switch to another alphabet within seven bits.
_ISO_2022 = (
    (re.compile(rb"\x1b\$\(?[@B]|\x1b\$\(D|\x1b\(I"), jis.NAME),
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
)

#: Encodings that are considered, in the order of the detector.
_CANDIDATES = 8

#: How much better than windows-1252 another one has to fit letters that both can be: most texts are windows-1252.
_BETTER = 1.1

#: Letters and signs of Windows where ISO 8859 has none.
_ABOVE = re.compile(rb"[\x80-\x9f]")

#: Bytes of a sample whose letters the detector counts.
_COUNTED = 16 << 10

#: Encodings of Cyrillic and Greek, each with the one in which the detector is asked for its capitals as small letters.
_SMALL = {
    **dict.fromkeys("cp1251 koi8_r koi8_u cp866 cp855 iso8859_5 mac_cyrillic".split(), "cp1251"),
    **dict.fromkeys("cp1253 iso8859_7".split(), "cp1253"),
}

#: How many letters short of what it is a reading in capitals counts: of few letters another reading fits as well.
_DOUBT = 15

#: Words of one alphabet, of signs, and with few accents: the guesses at them read all tables that any guess does.
_WARMING = "Добрый день, высылаю отчёт".encode("koi8_r"), "您好请查收附件中的报告".encode("gb18030"), b"ma\xf1ana"

#: Letters that are no ASCII in a mail whose text is ASCII (RFC 2045, §6.7), and where it names charsets.
_QUOTED = re.compile(rb"=[89A-F][0-9A-F]", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*\*?=", re.IGNORECASE)

_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\r\f"))
_CONTROL = re.compile(r"[\0-\x08\x0b\x0e-\x1f\x7f]")
_DIRT = re.compile(r"[\0-\x08\x0b\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff]")

#: Controls that stand between words become a space, or a line's end; others, marks and noncharacters go. Lone
#: surrogates, which UTF-8 can't hold, are replaced.
_CLEAN: dict[int, str | None] = {
    **dict.fromkeys((*_CONTROLS, 0xFEFF, 0xFFFE, 0xFFFF)),
    **dict.fromkeys((0x01, 0x02, 0x03, 0x1C, 0x1D, 0x1E, 0x1F), " "), 0x00: "\n", 0x0B: "\n",
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}  # fmt: skip


class Text(NamedTuple):
    """A text, and the name of its encoding where that was guessed from its letters."""

    text: str
    charset: str | None = None


def decode(data: bytes) -> Text:
    """Return `data` as clean text. Raises `refusals.Refused` if it is no text, or one without a word."""
    bare = data in (mark for mark, _ in _MARKS)
    text = "" if bare else _evident(data)
    guessed = _guessed(data) if text is None else Text(clean(text))
    if guessed is None:
        raise refusals.Refused(refusals.BINARY)
    if not guessed.text.strip():
        raise refusals.Refused(refusals.NOTHING)
    return guessed


def declared(data: bytes) -> str:
    """Return `data` as the text that it evidently is, or that it says it is; else as cp1252. Nothing is guessed."""
    text = _evident(data)
    return clean(data.decode("cp1252", errors="replace") if text is None else text)


def ready(data: bytes) -> None:
    """Have the detector read its tables if a mail may need it: they are files, which the sealed reader can't open."""
    if _utf8(data) is None or (_QUOTED.search(data) and not _CHARSET.search(data)):
        for sample in _WARMING:
            _guessed(sample)


def fitting(data: bytes) -> str:
    """Return `data` as `declared` does, but in the encoding that fits its letters if the detector is `ready`."""
    guessed = _guessed(data) if "chardet" in sys.modules and _evident(data) is None else None
    return guessed.text if guessed else declared(data)


def named(data: bytes, charset: str) -> str:
    """Return `data` in the charset that a mail names for it, or else in the one that fits."""
    name = charsets.codec(charset)
    return data.decode(name, errors="replace") if name else fitting(data) if data else ""


def clean(text: str) -> str:
    """Return `text` without what JSON or a model can't take."""
    if _DIRT.search(text) is None:
        return text
    return terminal.shown(text).translate(_CLEAN)


def _evident(data: bytes) -> str | None:
    """Return the text that nobody has to guess at, if there is one. It is not clean yet."""
    for attempt in (_marked, _seven_bits, _utf8, _declared, _mostly_utf8, _wide):
        found = attempt(data)
        if found is not None and _is_text(found):
            return found
    return None


def _is_text(text: str) -> bool:
    """Return whether so few controls are in it, colours and overstrikes aside, that people may read it."""
    bare = terminal.shown(text)
    words = _CONTROL.sub("", bare)
    return bool(words.strip("\ufeff")) and (len(bare) - len(words)) * 3 <= len(bare)


def _marked(data: bytes) -> str | None:
    """Return the text behind a byte order mark, if there is one."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, errors="replace")
    return None


def _seven_bits(data: bytes) -> str | None:
    """Return text in one of the encodings that switch alphabets by escape sequences."""
    for pattern, name in _ISO_2022:
        if pattern.search(data) and data.isascii():
            return data.decode(name, errors="replace")
    return None


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _declared(data: bytes) -> str | None:
    """Return `data` in the encoding that it says it has, if it can be."""
    for match in islice(_DECLARED.finditer(data[:_DECLARED_WITHIN]), 4):
        name = charsets.codec(next(filter(None, match.groups())).decode())
        if name:
            text = data.decode(name, errors="replace")
            return text if text.count("\ufffd") * 100 <= len(text) else None
    return None


def _mostly_utf8(data: bytes) -> str | None:
    """Return `data` as UTF-8 with stray bytes, or one that was cut: of other encodings few letters look like UTF-8."""
    text = data.decode(errors="replace")
    broken = text.count("\ufffd") - data.count("\ufffd".encode())
    whole = sum(not character.isascii() for character in text) - text.count("\ufffd")
    cut = len(data) - 3 <= _first_broken(data)
    return text if whole and (cut or broken * 3 <= whole) else None


def _first_broken(data: bytes) -> int:
    """Return where the first byte stands that is no UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as e:
        return e.start
    return len(data)


def _wide(data: bytes) -> str | None:
    """Return `data` as UTF-16 or UTF-32 without a mark if NULs stand in their places, and all characters are real."""
    zeros = [data[place::4].count(0) for place in range(4)]
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if len(data) % 4 == 0 and min(zeros[0], zeros[3]) == 0 and zeros.count(len(data) // 4) >= 1 and even and odd:
        name = "utf-32-le" if zeros[3] else "utf-32-be"
    elif len(data) % 2 == 0 and min(even, odd) * 10 < max(even, odd):
        name = "utf-16-le" if odd > even else "utf-16-be"
    else:
        return None
    try:
        text = data.decode(name)
    except UnicodeDecodeError:
        return None
    return text if all(unicodedata.category(character) not in ("Cn", "Co") for character in text[:SAMPLE]) else None


def _guessed(data: bytes) -> Text | None:
    """Return `data` in the encoding that fits its letters best, if any."""
    if len(data.translate(None, _CONTROLS)) < len(data) * 99 // 100:
        return None
    sample = _sample(data)
    fits = _with_capitals(sample, _fits(sample, charsets.NAMES))
    best = _best(sample, fits) if fits else ""
    return Text(clean(data.decode(best, errors="replace")), charsets.NAMES[best]) if best else None


def _fits(sample: bytes, names: Iterable[str]) -> dict[str, float]:
    """Return how well `sample` fits those of the encodings `names` that it can be in, the best first."""
    import chardet  # 60 ms that UTF-8 need not wait

    known = ["euc_jis_2004" if name == jis.EUC else name for name in names]
    found = chardet.detect_all(
        sample, max_bytes=SAMPLE, compat_names=False, include_encodings=known, ignore_threshold=True
    )
    return {name: match["confidence"] for match in found if (name := charsets.codec(match["encoding"] or ""))}


def _with_capitals(sample: bytes, fits: dict[str, float]) -> dict[str, float]:
    """Return `fits`, where words in capitals fit as well as they do in small letters: the detector knows no others.

    The capitals of windows-1251 are the small letters of KOI8-R, so that their text was one of rare words to it.
    """
    raised, top = dict[str, float](), max(fits.values(), default=0)
    for name in (name for name in fits if name in _SMALL):
        text = sample[:_COUNTED].decode(name, errors="replace")
        letters, proper = looks.capitals(text)
        if letters and not looks.odd(text):
            small = _fits(text.lower().encode(_SMALL[name], errors="replace"), [_SMALL[name]])
            fit = sum(small.values()) * proper * letters / (letters + _DOUBT)
            if fit > top:
                raised[name] = fit
    return dict(sorted((fits | raised).items(), key=lambda fit: raised.get(fit[0], 0), reverse=True))


def _best(sample: bytes, fits: dict[str, float]) -> str:
    """Return the first of the best candidates that does not look odd, or a Western one where that is as likely."""
    read, top = functools.partial(sample.decode, errors="replace"), max(fits.values())
    names, western = list(fits)[:_CANDIDATES], _western(sample)
    if western:
        text = read(western)
        if looks.signs_alone(text) or fits.get(western, 0) * _BETTER >= top:
            return western
        names = [*(name for name in names if looks.agree(read(name), text)), western]
    elif looks.katakana(sample):
        return "cp932"
    best = next((name for name in names if not looks.odd(read(name))), names[0])
    if western and looks.vocalic(read(best)):
        return western
    if best == "gb18030" and fits.get(jis.EUC, 0) * 2 >= top and looks.japanese(sample):
        return jis.EUC
    return "cp1252" if read(best) == read("cp1252") else best


def _western(sample: bytes) -> str:
    """Return the encoding in which `sample` looks like a text of Western Europe, if it does.

    It is windows-1252, or ISO 8859-15 if that has a `€` where nobody types the `¤` of windows-1252.
    """
    name = "iso8859_15" if b"\xa4" in sample and not _ABOVE.search(sample) else "cp1252"
    return name if looks.western(sample.decode(name, errors="replace")) else ""


def _sample(data: bytes) -> bytes:
    """Return lines of `data` that have more than ASCII in them, from all over it: the others tell nothing."""
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    size = sum(map(len, lines)) + len(lines)
    step = -(-size // SAMPLE)
    return b"\n".join(lines[::step]) + b"\n" if size > 2 * len(lines) else data[:SAMPLE]
