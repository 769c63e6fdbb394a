"""Encodings by name: those that are still met, and what files and mail call them."""

import codecs

from lazu.documents import jis

#: The encodings that are still met, by their codecs, and the names that the WHATWG Encoding Standard gives them. Left
#: to all it knows, the detector takes French for Hungarian and English for Baltic.
NAMES = {
    "cp1252": "windows-1252", "gb18030": "gb18030", "cp932": "shift_jis", "cp1251": "windows-1251", "big5hkscs": "big5",
    "cp949": "euc-kr", jis.EUC: "euc-jp", "iso2022_kr": "iso-2022-kr",
    "hz": "hz-gb-2312", "cp1250": "windows-1250", "cp1253": "windows-1253", "cp1254": "windows-1254",
    "cp1255": "windows-1255", "cp1256": "windows-1256", "cp1257": "windows-1257", "cp1258": "windows-1258",
    "koi8_r": "koi8-r", "koi8_u": "koi8-u", "cp874": "windows-874", "cp866": "ibm866", "mac_roman": "macintosh",
    "iso8859_2": "iso-8859-2", "iso8859_5": "iso-8859-5", "iso8859_6": "iso-8859-6", "iso8859_7": "iso-8859-7",
    "iso8859_8": "iso-8859-8", "iso8859_15": "iso-8859-15", "cp855": "ibm855", "johab": "johab", "cp437": "ibm437",
    "cp850": "ibm850", "cp852": "ibm852", "mac_cyrillic": "x-mac-cyrillic",
}  # fmt: skip

#: Codecs that decode more than others do, and the same otherwise: what is declared or found as one is mostly the wider.
_WIDER = {
    "iso8859_1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc_kr": "cp949", "big5": "big5hkscs", "iso8859_9": "cp1254", "iso8859_11": "cp874",
    "tis_620": "cp874",
    **dict.fromkeys(("euc_jp", "euc_jis_2004"), jis.EUC),
    **dict.fromkeys(("iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_ext"), jis.NAME),
}  # fmt: skip

#: Codecs that a file may declare, and that the detector does not look for: rare, like others, or evident.
_DECLARED_ONLY = {f"iso8859_{part}" for part in (3, 4, 10, 13, 14, 16)} | {"utf_7", jis.NAME}

#: Labels of the WHATWG Encoding Standard, and of mail programs, that Python does not know, as it asks for them.
_LABELS = {
    "windows_31j": "cp932", "x_sjis": "cp932", "x_euc_jp": "euc_jp", "x_gbk": "gbk",
    "gb_2312_80": "gb2312", "windows_936": "gbk", "x_x_big5": "big5", "cn_big5": "big5", "windows_949": "cp949",
    "x_windows_949": "cp949", "ks_c_5601_1989": "cp949", "ksc_5601": "cp949", "iso_ir_149": "cp949",
    "windows_874": "cp874", "dos_874": "cp874", "koi8_ru": "koi8_u", "koi": "koi8_r", "koi8": "koi8_r",
    "iso_8859_8_i": "iso8859_8", "iso_8859_8_e": "iso8859_8", "csiso88598i": "iso8859_8", "logical": "iso8859_8",
    "visual": "iso8859_8", "iso_8859_6_e": "iso8859_6", "iso_8859_6_i": "iso8859_6", "latin_9": "iso8859_15",
    "csisolatin9": "iso8859_15", "mac": "mac_roman", "x_mac_roman": "mac_roman", "x_mac_cyrillic": "mac_cyrillic",
    "x_mac_ukrainian": "mac_cyrillic", "unicode_1_1_utf_8": "utf_8", "unicode_1_1_utf_7": "utf_7",
    **dict.fromkeys(("cp50220", "cp50221", "cp50222", "iso_2022_jp_ms"), jis.NAME),
    **{f"x_cp125{page}": f"cp125{page}" for page in range(9)},
}  # fmt: skip


def load(all_of_them: bool) -> None:
    """Look the codecs up that a document may name: each is a file of Python's, and the sealed reader opens none.

    Zip archives and XML have but a few; all of them take 10 ms.
    """
    more = (*NAMES, *_WIDER, *_DECLARED_ONLY, *_LABELS, "cp950") if all_of_them else ()  # cp950: of fonts in an rtf
    for name in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp437", *more):
        codecs.lookup(name)


def codec(name: str) -> str | None:
    """Return the codec for an encoding that a file declares, if it is one that is still met."""
    try:
        found = codecs.lookup(name).name.replace("-", "_")
    except (LookupError, ValueError):
        return None
    found = _WIDER.get(found, found)
    return found if found in NAMES or found in _DECLARED_ONLY else None


def _labelled(name: str) -> codecs.CodecInfo | None:
    """Return the codec of a label that Python asks for because it does not know it; in headers of mail too."""
    found = _LABELS.get(name.replace("-", "_"))
    return codecs.lookup(found) if found else jis.CODECS.get(name)


codecs.register(_labelled)
