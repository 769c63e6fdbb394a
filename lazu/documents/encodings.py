"""Text files: bytes of an unknown encoding become text, or are found to be no text."""

import codecs
import unicodedata

from lazu.documents import refusals

SAMPLE = 256 << 10  # bytes that the detector looks at

MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The encodings of the WHATWG Encoding Standard that are still met; of equally likely ones the first. Left to all it
# knows and to its own order, the detector takes French for Hungarian and English for Baltic.
LEGACY = [
    "cp1252", "gb18030", "shift_jis", "cp1251", "big5", "cp949", "euc_jp", "iso2022_jp", "cp1250", "cp1253",
    "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "koi8_r", "koi8_u", "cp874", "cp866", "mac_roman", "iso8859_2",
    "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "iso8859_15", "split",
]  # fmt: skip
CONTROLS = bytes({*range(32), 127} - set(b"\t\n\r\f"))
# Controls, byte order marks and noncharacters go; lone surrogates, which UTF-8 can't hold, are replaced.
CLEAN: dict[int, str | None] = {
    **dict.fromkeys((*CONTROLS, 0xFEFF, 0xFFFE, 0xFFFF)),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}


def decode(data: bytes) -> str:
    """Return `data` as clean text. Raises `refusals.Refused` if it is no text."""
    for attempt in (marked, utf8, utf16, detected):
        text = attempt(data)
        if text is not None and (cleaned := clean(text)) and len(text) - len(cleaned) <= len(text) // 100:
            return cleaned
    raise refusals.Refused(refusals.BINARY)


def clean(text: str) -> str:
    """Return `text` without what JSON or a model can't take."""
    return text.translate(CLEAN)


def marked(data: bytes) -> str | None:
    """Return the text behind a byte order mark, if there is one."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, errors="replace")
    return None


def utf8(data: bytes) -> str | None:
    """Return `data` as UTF-8, also with a few broken characters: a file cut short is still UTF-8."""
    text = data.decode(errors="replace")
    broken = text.count("\ufffd")
    right = len(data) - len(text.encode("ascii", errors="ignore")) - broken
    return text if broken * 20 <= right else None


def utf16(data: bytes) -> str | None:
    """Return `data` as UTF-16 without a mark, if that is evident: NULs on one side, and only real characters."""
    if len(data) % 2 or b"\0" not in data:
        return None
    name = "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
    try:
        text = data.decode(name)
    except UnicodeDecodeError:
        return None
    return text if all(unicodedata.category(character) not in ("Cn", "Co") for character in text[:SAMPLE]) else None


def detected(data: bytes) -> str | None:
    """Return `data` in the encoding that charset-normalizer finds most likely, if any."""
    import charset_normalizer  # 25 ms that UTF-8 need not wait

    if len(data.translate(None, CONTROLS)) < len(data) * 99 // 100:
        return None
    found = charset_normalizer.from_bytes(sample(data), cp_isolation=LEGACY)
    likely = {
        name
        for match in found
        if (match.chaos, match.coherence) == (found[0].chaos, found[0].coherence)
        for name in match.could_be_from_charset
    }
    best = next((name for name in LEGACY if name in likely), None)
    return data.decode(best, errors="replace") if best else None


def sample(data: bytes) -> bytes:
    """Return the first lines of `data`: a character cut in two would mislead the detector."""
    if len(data) <= SAMPLE:
        return data
    return data[: data.rfind(b"\n", 0, SAMPLE) + 1 or SAMPLE]
