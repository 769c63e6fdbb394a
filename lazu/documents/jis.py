"""ISO-2022-JP as browsers and mail programs read it (WHATWG Encoding Standard, §12.2): with ① and ㈱, and katakana.

Python's codecs keep to the standards of 1983 and 1990, which have none of the signs that Windows has added since.
"""

import codecs
import functools
import re

NAME = "iso2022_jp_ms"

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


CODEC = codecs.CodecInfo(codecs.lookup(_OTHERS).encode, _decode, name=NAME)  # type: ignore[arg-type]  # bytes it is given
