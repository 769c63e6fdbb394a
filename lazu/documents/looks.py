# ruff: noqa: RUF001 - signs are what this is about
"""What text looks like that people write: what its signs and letters stand beside, which the detector does not see.

Most texts without UTF-8 are windows-1252, and of many the only bytes past ASCII are `°`, `§`, `£`, `µ` or no-break
spaces, of which statistics of letters know nothing (docs/decisions/0152-signs.md: measured).
"""

import re

#: Letters of Greek, Cyrillic, Hebrew and Arabic, and where they stand beside a Latin one, as in no language's words.
_OTHERS = re.compile("[\u0370-\u08ff]")
_MIXED = re.compile("[A-Za-z\u00c0-\u024f](?=[\u0370-\u08ff])|[\u0370-\u08ff](?=[A-Za-z\u00c0-\u024f])")

#: Signs that are rare in text, and controls that no text has: what letters of another encoding look like.
_RARE = re.compile("[\x80-\x9f\u2020\u2021\u2030\u2039\u203a\xa4\xa6\xa8\xac\xaf\xb4\xb6\xb8]")

#: Controls that no text has: what letters of Windows, DOS and Macintosh are in ISO 8859.
_UNSEEN = re.compile("[\x80-\x9f]")

#: Characters of Thai and East Asia with the Latin letters beside them, and letters of any alphabet that is not Latin.
_EAST = re.compile("([A-Za-z]?)([\u0e00-\u0e7f\u2e80-\uffee]+)(?=([A-Za-z]?))")
_FOREIGN = re.compile("[\u0370-\u1dff\u2e80-\uffee]")

#: Words with letters past ASCII, and signs within them: what such letters are in another encoding.
_WORD = re.compile(r"[^\x00-@\[-`{-\x7f«»„“”‘’…–—№\xa0]{2,}")

#: Turkish `ş` read as windows-1252 is in words where Icelandic has its `þ` in front; nor are these letters Turkish.
_TURKISH = re.compile(r"\wþ")
_ICELANDIC = re.compile("[áéíóúæÁÉÍÓÚÆ]")

#: Spanish `ñ` read as windows-1250 is in front of vowels, where Polish `ń` never is.
_SPANISH = re.compile("ń([aeiouáéíóú]?)", re.IGNORECASE)

#: French and Italian `è`, `ò` and `à` read as windows-1250, and where these are no consonants: between two of them, in
#: `-ière`, as a word, and `à` at its end.
_VOWELS = re.compile("[čňŕ]", re.IGNORECASE)
_VOCALIC = re.compile(r"[bcdfghjklmnpqrstvwxz][čňŕ][bcdfghjklmnpqrstvwxz]|ičre|\b[čŕ](?=[ \n;,])|ŕ\b", re.IGNORECASE)

#: Big letters behind small ones, and signs between them: what letters of Macintosh are elsewhere (`PrÄnom`, `M‡laga`).
_CAPITALS = "".join(filter(str.isupper, map(chr, range(0xC0, 0x250))))
_WITHIN = re.compile(f"(?<=[a-zß-öø-ÿ])(?:[{_CAPITALS}](?![A-Z])|[–—†‡‰‘•ˆ](?=[a-z]))")

_FAR = "ŒœŠšŽžŸƒ\xc0-\xd6\xd8-\xf6\xf8-\xff"
_LETTERS = re.compile(f"[{_FAR}]+")
_SIGN = re.compile(rf"[^\x00-\x7f{_FAR}]|Ø(?=[ \d])")
_NONE, _END = f"(?<![A-Za-z{_FAR}])", f"(?![A-Za-z{_FAR}])"

#: Signs that stand where such do: what is a sign in windows-1252 is elsewhere a letter within words (`£ukasz`, `5 z³`).
_SPACED = re.compile(r"\d\xa0|\xa0[\d\xa0%€£:;!?»]")
_PAIRED = re.compile(rf"{_NONE}[“„«»]([^“”„«»]*)[“”«»]{_END}|¿([^¿?]*\?)|¡([^¡!]*!)|‹([^‹›]*)›")
_PLACED = re.compile(
    rf"""(?=[^\x00-\x7f])(?:[–—]|{_NONE}‘|[’”…]{_END}|(?<=[A-Za-z{_FAR}])’|’(?=\d|n\b)|(?<=\s)[«»](?=\s)
    |(?<=[^\w\s])\xa0|\xa0(?=[^\w\s,.]|[A-Z][a-z])|(?<=[A-Za-z])\xad(?=[A-Za-z])
    |(?<=[A-Za-z])[®™]{_END}|{_NONE}[©®™•·§¶²³½¼¾]{_END}|{_NONE}¹(?!\s?\d){_END}|(?<=[a-z\d²³)])·(?=[A-Za-z\d])
    |{_NONE}[£€¥¢](?=\s?\d|[km]\b)|(?:(?<=\d)|(?<=\d\s)|(?<![^\s,;(/]))[£€¥¢](?![^\s,;.)/])
    |(?:{_NONE}|(?<=\b[CNn]))[°º]{_END}|{_NONE}°[CFKNSEW]{_END}|(?<=[\dM])ª{_END}
    |(?<=[A-Za-z])²{_END}|(?:(?<=\b[mnxy])|(?<=\d[mnxy])|(?<=[cdkm]m))³{_END}|{_NONE}[±×÷](?=[\s\d])|(?<=\d)[±×÷]
    |{_NONE}µ(?:[ACFHLMSTVWglmos]|Hz|Pa|Sv)?{_END}|{_NONE}Ø)""",
    re.VERBOSE,
)

#: Letters that stand as those of Western languages do: one or two beside one of ASCII, no big one behind a small one.
_WRITTEN = re.compile(
    r"""(?=[^\x00-\x7f])(?:(?<=[A-Za-z])[ß-ïñ-öø-üÿœ]{1,2}|\b[à-ïñ-öø-üœÀ-ÏÑ-ÖØ-ÜŒ](?=[a-z])|(?<=[A-Z])[À-ÏÑ-ÖØ-ÜŒ]
    |\b[ÁÉÍÓÚ]ñ(?=[a-z])|\b[À-ÏÑ-ÖØ-ÜŒ](?=[A-Z])|\b(?:[àåèéíó]\b|Ø(?=[ \d])))""",
    re.VERBOSE,
)

#: Katakana of half width, and how much of it at least is what the bytes of letters in other alphabets are rarely: Thai
#: has no ﾜ, ﾝ or ﾞ, capitals of Windows and Greek nothing from ｳ to ｿ, and in ISO 8859 a big letter behind a small one.
_HALF = re.compile("[｡-ﾟ]+")
_KANA = (re.compile("[ﾜﾝﾞ]"), 20), (re.compile("[ｳ-ｿ]"), 8), (re.compile("[ﾐ-ﾟ](?=[ｱ-ﾏ])"), 20)
_TOUCHED = re.compile("[A-Za-z](?=[｡-ﾟ])|[｡-ﾟ](?=[A-Za-z])")
_MISPLACED = re.compile("(?<![ｳｶ-ﾄﾊ-ﾎ])ﾞ|(?<![ﾊ-ﾎ])ﾟ")


def odd(text: str) -> bool:
    """Return whether no language looks so.

    That is half of it signs that nobody types, controls, letters of two alphabets in a word, or East Asia's within one,
    a tenth of it big letters behind small ones or signs between them;
    or Turkish or Spanish whose letters were mistaken for Icelandic or Polish ones.
    """
    far = sum(not character.isascii() for character in text)
    if len(_RARE.findall(text)) * 2 > far or len(_UNSEEN.findall(text)) * 50 > far:
        return True
    if len(_WITHIN.findall(text)) * 10 > far:
        return True
    if len(_MIXED.findall(text)) * 20 > len(_OTHERS.findall(text)):
        return True
    east = _EAST.findall(text)
    lonely = all(len(run) == 1 for _, run, _ in east) and any(before and after for before, _, after in east)
    if lonely or (_TURKISH.search(text) and not _ICELANDIC.search(text)):
        return True
    spanish = _SPANISH.findall(text)
    return sum(map(bool, spanish)) * 2 > len(spanish)


def capitals(text: str) -> tuple[int, float]:
    """Return how many letters the words past ASCII of `text` have, and which part of the words is written as such are.

    That is in capitals, in small letters, or with a big one in front. None have any if no word is in capitals.
    """
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    proper = [word for word in words if word.isalpha() and (word.isupper() or word.islower() or word.istitle())]
    seen = len(proper) * 10 >= len(words) * 9 and any(map(str.isupper, proper))
    return (sum(map(len, words)), len(proper) / len(words)) if seen else (0, 0)


def western(text: str) -> bool:
    """Return whether the signs and letters past ASCII of `text`, read as windows-1252, stand where such do."""
    bare = _PAIRED.sub(r"\1\2\3\4", text)
    if _SPACED.search(bare):
        bare = bare.replace("\xa0", " ")
    signs, letters = len(_SIGN.findall(bare)), len(_LETTERS.findall(bare))
    return len(_PLACED.findall(bare)) * 20 >= signs * 19 and len(_WRITTEN.findall(bare)) * 20 >= letters * 19


def signs_alone(text: str) -> bool:
    """Return whether all that is past ASCII in `text`, read as windows-1252, are signs."""
    return _SIGN.sub("", text).isascii()


def vocalic(text: str) -> bool:
    """Return whether half of the `č`, `ň` and `ŕ` in `text` stand where vowels do: they are `è`, `ò` and `à`."""
    return len(_VOCALIC.findall(text)) * 2 >= len(_VOWELS.findall(text)) > 0


def agree(text: str, western: str) -> bool:
    """Return whether `text` has the signs that the same bytes are in windows-1252, and is in Latin letters as there."""
    signs = set(_SIGN.findall(western))
    return not _FOREIGN.search(text) and all(text.count(sign) >= western.count(sign) for sign in signs)


def japanese(data: bytes) -> bool:
    """Return whether `data`, of pairs that may be Chinese or EUC-JP, is hardly Chinese.

    Common characters come first in both: up to row 47 of JIS X 0208 and up to row 55 of GB 2312. A quarter of what is
    Chinese is in the rows between.
    """
    leads = [pair[0] for pair in set(re.findall(rb"[\xa1-\xfe]{2}", data)) if pair[0] >= 0xB0]
    return len(leads) >= 20 and sum(lead >= 0xD0 for lead in leads) * 25 <= len(leads)


def katakana(data: bytes) -> bool:
    """Return whether `data` is Shift_JIS with katakana of half width, as the files of banks are.

    It is if voicing marks stand where they do, other characters are common ones, and not all runs are of pairs, as in
    Chinese, Korean and EUC-JP, nor many beside letters, as in Big5.
    """
    text = data.decode("cp932", "replace")
    runs = _HALF.findall(text)
    kana = "".join(runs)
    return (
        all(len(pattern.findall(text)) * share >= len(kana) > 0 for pattern, share in _KANA)
        and len(_MISPLACED.findall(text)) * 20 <= len(kana)
        and len(_TOUCHED.findall(text)) * 2 <= len(runs)
        and sum(len(run) % 2 for run in runs) * 5 >= len(runs)
        and _common(_HALF.sub("", text))
    )


def _common(text: str) -> bool:
    """Return whether nine in ten characters past ASCII are in the rows of Shift_JIS where the common ones are."""
    far = [character for character in text if not character.isascii()]
    rare = sum(character == "\ufffd" or character.encode("cp932")[0] > 0x98 for character in far)
    return rare * 10 <= len(far)
