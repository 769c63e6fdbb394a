# ruff: noqa: RUF001, RUF003 - letters of all alphabets are what this is about
"""Mails are read as people read them: their charsets, headers, boundaries and the names of what is attached."""

import base64

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


#: `髙橋①㈱ｱ`, as Windows and browsers write it.
EUC = b"\xfc\xe2\xb6\xb6\xad\xa1\xad\xea\x8e\xb1"


@pytest.mark.parametrize(("kind", "begin"), [("message/rfc822", HEADS.format("hi", "euc-jp")), ("text/html", "<meta charset=x-euc-jp><p>"), ("text/plain", "# coding: euc-jp\n"), ("text/plain", "")])
def test_the_signs_of_windows_in_euc_jp_are_read(read, kind, begin):
    """`髙橋` was `郄橋`, another name: the standard of 2004, which nobody uses, has that letter in its place."""
    text = "お世話になっております。明日の会議について連絡します。"
    assert read(begin.encode() + text.encode("euc_jp") + EUC, kind).splitlines()[-1] == f"{text}髙橋①㈱ｱ"


#: What mail programs write under these names, which are those of narrower charsets.
WIDER = [
    ("gb2312", "gb18030", "关于珅字与€100的通知"), ("big5", "big5hkscs", "嘅喺"), ("ks_c_5601-1987", "cp949", "똠방각하"), ("shift_jis", "cp932", "①株式会社"),
    ("iso-8859-1", "cp1252", "“Café” 5 €"), ("tis-620", "cp874", "“ไทย”"), ("us-ascii", "utf-8", "Größe"), ("x-unknown", "utf-8", "Größe"),
]  # fmt: skip


def word(text, charset, codec):
    """An encoded word."""
    return f"=?{charset}?B?{base64.b64encode(text if isinstance(text, bytes) else text.encode(codec)).decode()}?="


@pytest.mark.parametrize(("charset", "codec", "text"), WIDER)
def test_subjects_and_names_are_read_in_the_charset_that_is_meant(read, charset, codec, text):
    """Bodies were; `朱镕基` was `朱�F基` in the header above, and a € of Outlook was dropped."""
    mail = f"From: {word(text, charset, codec)} <a@example.org>\nSubject: Re: {word(text, charset, codec)}\n\nhi\n"
    assert read(mail, "message/rfc822") == f"From: {text} <a@example.org>\nSubject: Re: {text}\n\nhi\n"


@pytest.mark.parametrize("name", ["ISO-2022-JP", "cp50221"])
def test_a_subject_in_iso_2022_jp_is_read(read, name):
    """With one sign of Windows it stayed `=?ISO-2022-JP?B?GyRC…?=`."""
    assert read(f"Subject: {word(JIS, name, '')}\n\nhi\n", "message/rfc822") == f"Subject: {SIGNS}\n\nhi\n"
    assert read(b"Subject: " + JIS + b"\n\nhi\n", "message/rfc822") == f"Subject: {SIGNS}\n\nhi\n"


@pytest.mark.parametrize("codec", ["utf-8", "gb2312"])
def test_a_letter_that_is_cut_in_two_by_encoded_words_is_one(read, codec):
    """Each word was decoded by itself, and its halves were holes."""
    sent = "通知".encode(codec)
    mail = f"Subject: {word(sent[:3], codec, '')}\n {word(sent[3:], codec, '')}\n\nhi\n"
    assert read(mail, "message/rfc822") == "Subject: 通知\n\nhi\n"


def attached(*headers):
    """A mail with an attachment of these headers."""
    return "\n".join(["Subject: hi", "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "words", "--b", *headers, "", "x", "--b--", ""]).encode("latin-1")


PDF = "Content-Type: application/pdf"
AS = "Content-Disposition: attachment; filename"


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([PDF, f"{AS}=Plan final (v2).pdf"], "Plan final (v2).pdf"),
        ([PDF, f"{AS}=Rechnung_Nr.5[1].pdf; size=3"], "Rechnung_Nr.5[1].pdf"),
        ([PDF, f"{AS}=a=b.pdf"], "a=b.pdf"),
        ([PDF, AS.replace(";", "") + "=a b.pdf"], "a b.pdf"),
        ([f"{PDF}; name=Plan (1).pdf"], "Plan (1).pdf"),
        ([PDF, AS + r'="C:\Users\x\doc.pdf"'], r"C:\Users\x\doc.pdf"),
        ([PDF, f'{AS}="a "b" c.pdf"'], 'a "b" c.pdf'),
        ([PDF, f"{AS}==?utf-8?Q?caf=C3=A9.pdf?="], "café.pdf"),
        ([PDF, f'{AS}="{word("朱镕基.pdf", "gb2312", "gb18030")}"'], "朱镕基.pdf"),
        ([PDF, f'{AS}="old.pdf"; filename*=gb2312\'\'%D6%EC%E9F%BB%F9.pdf'], "朱镕基.pdf"),
        ([PDF, f"{AS}*0*=UTF-8''%E6%96", " ; filename*1*=%87; filename*2=x.pdf"], "文x.pdf"),
        ([PDF, f'{AS}*0="Plan "; filename*1="(2).pdf"'], "Plan (2).pdf"),
        ([PDF, f'{AS}="Größe über.pdf"'], "Größe über.pdf"),
    ],
)
def test_the_name_of_an_attachment_is_read_in_full(read, headers, name):
    """Without quotes it ended at a blank, `(`, `[` or `=`; backslashes were lost; charsets were taken at their word."""
    assert read(attached(*headers), "message/rfc822") == f"Subject: hi\n\nwords\n\nAttachments:\n\n- {name} (application/pdf, 1 bytes)\n"


@pytest.mark.parametrize("boundary", ["----=_Part_13_15.1376", "ab/cd:e?f", "a b", "(b)", "=", '"b" charset=utf-8', 'b (a comment)'])
def test_a_boundary_without_quotes_takes_a_mail_apart(read, boundary):
    """Where it had `=`, `/`, `:` or `?`, the raw parts went to the model, in base64."""
    bare = boundary.split(" charset")[0].split(" (a")[0].strip('"')
    part = "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: base64\n\nVGVhIGNvc3RzIDQuNTAgRVVSLCBjYWbDqQ=="
    mail = f"Subject: hi\nContent-Type: multipart/mixed;\n boundary={boundary}\n\n--{bare}\n{part}\n--{bare}--\n"
    assert read(mail, "message/rfc822") == "Subject: hi\n\nTea costs 4.50 EUR, café\n"


@pytest.mark.parametrize("kind", ["text/html charset=utf-8", "text/html (a page); charset=utf-8", "text / html; charset=utf-8", 'text/html;; charset="utf-8'])
def test_a_kind_with_a_forgotten_semicolon_is_read(read, kind):
    """Its page was shown as HTML source."""
    assert read(f"Subject: hi\nContent-Type: {kind}\n\n<p>café</p>\n", "message/rfc822") == "Subject: hi\n\ncafé\n"


FLOWED = "この文は \n続きます。\n> quoted \n> more\n>> deeper \n> less\n \n > no quotation\n>\nend \n-- \nSig\n"


@pytest.mark.parametrize(
    ("delsp", "words"),
    [
        ("Yes", "この文は続きます。\n> quotedmore\n>> deeper\n> less\n\n> no quotation\n>\nend\n-- \nSig\n"),
        ("no", "この文は 続きます。\n> quoted more\n>> deeper \n> less\n\n> no quotation\n>\nend \n-- \nSig\n"),
    ],
)
def test_a_folded_paragraph_is_one_line(read, delsp, words):
    """Japanese sentences and long addresses of Apple Mail were cut in two by a space and a line's end."""
    mail = f"Subject: hi\nContent-Type: text/plain; charset=utf-8; format=Flowed; delsp={delsp}\n\n{FLOWED}"
    assert read(mail, "message/rfc822") == f"Subject: hi\n\n{words}"
    assert read(mail.replace("\n", "\r\n"), "message/rfc822") == f"Subject: hi\n\n{words}"
