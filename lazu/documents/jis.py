"""ISO-2022-JP and EUC-JP as browsers and mail programs read them (WHATWG Encoding Standard, §12): with ①, ㈱ and 髙.

Python's codecs keep to the standards of 1983 and 1990, which have none of the signs that Windows has added since, or to
that of 2004, which has other letters in their place.
"""

import codecs
import functools
import re

NAME, EUC = "iso2022_jp_ms", "euc_jp_ms"

#: The codec for what is in no alphabet that Windows knows better: ASCII, yen and overline, JIS X 0212, Chinese, Korean.
_OTHERS = "iso2022_jp_2"

#: What follows a switch to JIS X 0208 or to katakana of half width, up to the next one.
_RUN = re.compile(rb"\x1b(\$\(?[@B]|\(I)([^\x1b]*)")
_PAIR = re.compile(rb"[!-~]{2}|.", re.DOTALL)

#: Where cp932 has the katakana.
_KATAKANA = bytes(code + 0x80 if 0x21 <= code <= 0x5F else code for code in range(256))


def _decode(data: bytes, errors: str = "strict") -> tuple[str, int]:
    """Return `data` as text, and its length, as codecs do."""
    first, *rest = _RUN.split(bytes(data))
    text = [first.decode(_OTHERS, errors)]
    for switch, run, others in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        if switch == b"(I":
            text.append(run.translate(_KATAKANA).decode("cp932", errors))
        else:
            text.extend(_letter(pair, errors) for pair in _PAIR.findall(run))
        text.append(others.decode(_OTHERS, errors))
    return "".join(text), len(data)


@functools.cache
def _letter(pair: bytes, errors: str) -> str:
    """Return the letter of a pair; spaces and line ends may stand between pairs, and half a pair is none."""
    try:
        return (_shifted(*pair) if len(pair) == 2 else pair if pair <= b" " else b"\x81").decode("cp932")
    except UnicodeDecodeError as e:
        return str(codecs.lookup_error(errors)(e)[0])


def _shifted(lead: int, trail: int) -> bytes:
    """Return the two bytes that a pair has in Shift_JIS: two rows of 94 stand there in one."""
    first = (lead + 1) // 2 + (0x70 if lead <= 0x5E else 0xB0)
    second = trail + (0x7E if lead % 2 == 0 else 0x1F if trail <= 0x5F else 0x20)
    return bytes((first, second))


def _decode_euc(data: bytes, errors: str = "strict") -> tuple[str, int]:
    """Return `data` as text, and its length; where holes are allowed, Windows may fill them."""
    return codecs.lookup("euc_jp").decode(data, EUC if errors == "replace" else errors)


def _windows(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the letter of Windows for a pair that EUC-JP has not, and where the text goes on."""
    if isinstance(error, UnicodeDecodeError):
        pair = error.object[error.start : error.start + 2]
        if len(pair) == 2 and min(pair) >= 0xA1 and max(pair) <= 0xFE:
            return _letter(bytes(code & 0x7F for code in pair), "replace"), error.start + 2
    return codecs.replace_errors(error)


codecs.register_error(EUC, _windows)
CODECS = {
    name: codecs.CodecInfo(codecs.lookup(others).encode, decode, name=name)  # type: ignore[arg-type]  # bytes it is given
    for name, others, decode in ((NAME, _OTHERS, _decode), (EUC, "euc_jp", _decode_euc))
}
