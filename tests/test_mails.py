# ruff: noqa: RUF001, RUF003 - letters of all alphabets are what this is about
"""Mails are read as people read them: their charsets, headers, boundaries and the names of what is attached."""

import pytest

HEADS = "From: a@example.org\nSubject: {}\nContent-Type: text/plain; charset={}\n\n"

#: `①株式会社㈱テスト ﾃｽﾄ 髙橋～№`, as Outlook and Becky send it.
JIS = b"\x1b$B-!3t<02q<R-j%F%9%H\x1b(B \x1b(IC=D\x1b(B \x1b$B|b66!A-b\x1b(B"
SIGNS = "①株式会社㈱テスト ﾃｽﾄ 髙橋～№"


@pytest.mark.parametrize("kind", ["message/rfc822", "text/plain", "text/html"])
@pytest.mark.parametrize("name", ["iso-2022-jp", "ISO-2022-JP-MS", "cp50221"])
def test_the_signs_of_windows_and_katakana_in_iso_2022_jp_are_read(read, kind, name):
    """Every Japanese mail program sends them; they were holes, and `ﾃｽﾄ` was `C=D`."""
    begin = {"message/rfc822": HEADS.format("hi", name), "text/html": f"<meta charset={name}><p>", "text/plain": ""}[kind]
    assert read(begin.encode() + JIS, kind).splitlines()[-1] == SIGNS


def test_katakana_alone_in_iso_2022_jp_is_read(read):
    assert read(b"\x1b(IC=D\x1b(B = 5\n", "text/plain") == "ﾃｽﾄ = 5\n"


def test_half_a_letter_of_iso_2022_jp_is_a_hole_and_spoils_no_other(read):
    """The switch behind it was taken for letters."""
    assert read(b"\x1b$B%F%9%\x1b(B ok \x1b$B%H\x1b(B\n", "text/plain") == "テス� ok ト\n"
