"""A file's name on its way in and out: whatever clients write it in, what hides in it, what is cut of it."""

import encodings
import json

import pytest

from helpers.wire import BOUNDARY, PURPOSE, form, part, request, stored, upload
from lazu.filenames import clean, unwrapped

EXECUTABLE = (400, "unsupported_file_type", "file")


def sent(server, key, disposition, content=b"words"):
    """The answer to an upload whose file part says `disposition` behind its name, in Latin-1."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name=file; {disposition}\r\n\r\n'.encode("latin-1")
    return upload(server, key, body=form(PURPOSE, head + content + b"\r\n"))


# As .NET writes them: an encoded word for old servers, RFC 8187 for others.
DOTNET = 'filename="=?utf-8?B?{}?="; filename*=utf-8\'\'{}'
WRITTEN = {
    "both of .NET": (DOTNET.format("5rWL6K+VLmNzdg==", "%E6%B5%8B%E8%AF%95.csv"), "测试.csv"),
    "a slash in the encoded word": (DOTNET.format("w7/Dvy50eHQ=", "%C3%BF%C3%BF.txt"), "ÿÿ.txt"),
    "an encoded word alone": ('filename="=?utf-8?B?5rWL6K+VLmNzdg==?="', "测试.csv"),
    "an encoded word in Q": ('filename="=?ISO-8859-1?Q?gr=FC=DFe_1.csv?="', "grüße 1.csv"),
    "filename* alone": ("filename*=UTF-8''%E2%98%83%20a.txt", "☃ a.txt"),
    "filename* in Latin-1": ("filename*=iso-8859-1'de'gr%FC%DFe.txt", "grüße.txt"),
    "filename* in utf8": ("filename*=utf8''gr%C3%BC%C3%9Fe.txt", "grüße.txt"),
    "filename* as JavaScript writes it": ("filename*=UTF-8''it's%20report%20(1)*.pdf", "it's report (1)*.pdf"),
    "filename* first": ("filename*=UTF-8''right.txt; filename=\"wrong.txt\"", "right.txt"),
    "filename* broken beside filename": ("filename=\"a.txt\"; filename*=UTF-8''%zz", "a.txt"),
    "filename* within quotes": ("filename=\"a; filename*=UTF-8''b.txt\"", "a; filename*=UTF-8''b.txt"),
    "a path in filename*": ("filename*=UTF-8''..%2F..%5Cpasswd.txt", "passwd.txt"),
    "an encoded word of another charset": ('filename="=?utf-7?Q?a.txt?="', "=?utf-7?Q?a.txt?="),
    "an encoded word in GBK": ('filename="=?GBK?B?suLK1C5jc3Y=?="', "测试.csv"),
    "several encoded words": ('filename="=?utf-8?B?5rWL?= =?utf-8?Q?=E8=AF=95_1.csv?="', "测试 1.csv"),
    "words around an encoded word": ('filename="a =?utf-8?B?LmV4ZQ==?="', "a =?utf-8?B?LmV4ZQ==?="),
    "without quotes": ("filename=my notes.md", "my notes.md"),
    "without quotes, other characters": ("filename=a(1), b@2x [draft].png ; x=y", "a(1), b@2x [draft].png"),
    "without quotes, a path": (r"filename=C:\d\b.txt", "b.txt"),
    "an escaped quote": (r'filename="say \"hi\".txt"', 'say "hi".txt'),
    "a quote as browsers write it": ('filename="say %22hi%22.txt"', 'say "hi".txt'),
    "an encoded word that is none": ('filename="=?utf-8?B?%%%?="', "=?utf-8?B?%%%?="),
}


@pytest.mark.parametrize(("disposition", "kept"), WRITTEN.values(), ids=WRITTEN)
def test_a_name_is_read_as_its_client_wrote_it(server, key, disposition, kept):
    assert sent(server, key, disposition).json["filename"] == kept


@pytest.mark.parametrize(
    "disposition",
    [DOTNET.format("0L7RgtGH0ZHRgi5leGU=", "%D0%BE%D1%82%D1%87%D1%91%D1%82.exe"), DOTNET.format("YQ==", "t%C3%B6mp.bat"),
     'filename="=?utf-8?B?0LjRgtC+0LMuc2g=?="', 'filename="=?gbk?B?YS5leGU=?="', 'filename="=?utf-16le?B?YQAuAGUAeABlAA==?="',
     'filename="=?utf-8?B?YQ==?= =?utf-8?B?LmV4ZQ==?="', "filename=\"a.txt\"; filename*=UTF-8''a%2Eexe",
     "filename=evil@x.exe", "filename=report final.exe", r"filename=C:\d\a.exe", "FileName = a(1).exe ; x=y"],
)  # fmt: skip
def test_no_way_of_writing_it_hides_an_executable(server, key, disposition):
    assert sent(server, key, disposition).error == EXECUTABLE


@pytest.mark.parametrize("disposition", ["filename*=UTF-8''%zz", "filename*=utf-7''+AC8-", "filename*=UTF-8''%FF", "filename*=a.txt"])
def test_a_name_that_can_not_be_decoded_is_refused_by_name(server, key, disposition):
    answer = sent(server, key, disposition)
    assert answer.error == (400, "invalid_request", "file")
    assert "filename*" in answer.json["error"]["message"]


@pytest.mark.parametrize("disposition", ['filename="say "hi".pdf"', 'filename="a.pdf', 'filename=a"b.pdf', 'filename="a.txt".exe', "filename"])
def test_a_name_that_can_be_read_in_two_ways_is_refused_and_told_how_to_write_it(server, key, disposition):
    """It was kept up to its first quote, with 200: `say ` for `say "hi".pdf`."""
    answer = sent(server, key, disposition)
    assert answer.error == (400, "invalid_request", None)
    assert 'filename="my paper.pdf"' in answer.json["error"]["message"]


def test_the_name_of_a_field_needs_no_quotes(server, key):
    """It was cut at its bracket, so that two of them were refused as one given twice."""
    fields = (b"--%b\r\nContent-Disposition: form-data; name=expires_after[%b]\r\n\r\n%b\r\n" % (BOUNDARY.encode(), *field)
              for field in ((b"anchor", b"created_at"), (b"seconds", b"3600")))  # fmt: skip
    file = upload(server, key, PURPOSE, *fields, part("file", b"words", "a.txt")).json
    assert file["expires_at"] - file["created_at"] == 3600


@pytest.mark.parametrize("boundary", ["----=_Part_0_1.2", "uuid:12-3", "a/b?c,d", "===(1)===", "a b"])
def test_a_boundary_needs_no_quotes(server, key, boundary):
    """It was read up to the first character that RFC 2045 wants in quotes, and the body said to be malformed."""
    body = form(PURPOSE, part("file", b"words", "a.txt")).replace(BOUNDARY.encode(), boundary.encode())
    for written in (boundary, f'"{boundary}"; charset=utf-8'):
        assert upload(server, key, body=body, content_type=f"multipart/form-data; boundary={written}").status == 200


@pytest.mark.parametrize("charset", ["latin-1", "gbk", "shift_jis"])
def test_a_name_in_another_charset_is_told_so(server, key, charset):
    name = {"latin-1": "Größe.csv", "gbk": "测试.csv", "shift_jis": "表.csv"}[charset]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nx\r\n'
    answer = upload(server, key, body=form(PURPOSE, head.encode(charset)))
    assert answer.error == (400, "invalid_request", "file")
    assert "UTF-8" in answer.json["error"]["message"]


LONG = {
    "長" * 90 + ".csv": "長" * 83 + ".csv",
    "長" * 84 + ".pdf": "長" * 83 + ".pdf",
    "a" * 300 + ".txt": "a" * 251 + ".txt",
    "a" * 251 + ".exefoo": "a" * 248 + ".exefoo",
    "a" * 300 + ".tar.gz": "a" * 252 + ".gz",
    "a." + "b" * 300: "a." + "b" * 253,
    "a" * 200 + "." + "b" * 100: "a" * 154 + "." + "b" * 100,
    "長" * 200 + "." + "b" * 250: "長." + "b" * 250,
    "長" * 200 + "." + "b" * 251: "長" * 85,
    "a" * 300: "a" * 255,
    "é" * 200 + ".md. .": "é" * 126 + ".md",
}


@pytest.mark.parametrize(("name", "kept"), LONG.items())
def test_a_long_name_loses_its_stem_and_never_its_extension(server, key, name, kept):
    assert stored(server, key, b"x", name)["filename"] == kept


@pytest.mark.parametrize("name", ["a" + "." * 900_000 + "b", "x/" * 400_000 + "." * 900 + ".txt", "\t" * 400_000 + "end.txt"], ids=["dots", "slashes", "tabs"])
def test_a_name_of_a_megabyte_costs_no_more_than_another(server, key, name):
    """It stopped its process: a pattern went through a run of dots again from each of them, for an hour."""
    declared = {"filename": name, "purpose": "user_data", "bytes": 1, "mime_type": "text/plain"}
    answer = request(server, "POST", "/v1/uploads", key, body=json.dumps(declared).encode())
    assert answer.json["filename"] == clean(name[:4096].rpartition("/")[2] + name[-4096:].rpartition("/")[2])
    assert len(answer.json["filename"]) <= 255


def test_charsets_that_nobody_knows_are_not_remembered():
    """Python keeps the name of each that it looked for."""
    before = len(encodings._cache)
    for number in range(100):
        assert unwrapped(f"=?windows-{number + 10**6}?q?a?=").startswith("=?")
    assert len(encodings._cache) == before


def test_a_name_cut_to_an_executable_one_is_refused(server, key):
    assert sent(server, key, f'filename="{"a" * 251}.exe{"b" * 300}"').error == EXECUTABLE


# Unicode Cf and Default_Ignorable_Code_Point, and what NTFS takes for a stream.
HIDING = ["\u200b", "\u00ad", "\ufeff", "\u200d", "\u2060", "\ufe0f", "\u034f", "\u115f", "\u3164", "\U000e0001", "\U000e0100"]


@pytest.mark.parametrize("hiding", HIDING, ids=ascii)
def test_what_nobody_sees_hides_no_extension(server, key, hiding):
    for name in (f"a.exe{hiding}", f"a.e{hiding}xe", f"a.{hiding}exe", f"a.exe.{hiding}"):
        answer = upload(server, key, body=form(PURPOSE, disposition(name)))
        assert answer.error == EXECUTABLE, ascii(name)


def disposition(name):
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nwords\r\n'.encode()


@pytest.mark.parametrize("name", ["a.exe::$DATA", "a.exe:x:$DATA", "notes.txt:a.exe", "a.bat. ::$DATA", "a.exe:", "a.exe . : :"])
def test_a_stream_hides_no_extension(server, key, name):
    assert upload(server, key, body=form(PURPOSE, disposition(name))).error == EXECUTABLE


SEEN = {
    "notes.txt::$DATA": "notes.txt",
    "12:30 notes.txt": "12:30 notes.txt",
    "db.example.com:5432.csv": "db.example.com:5432.csv",
    "Fixing install.sh: step by step.md": "Fixing install.sh: step by step.md",
    "a.exe:notes.txt": "a.exe:notes.txt",
    "a\u200b\u00adb.txt": "ab.txt",
    "می\u200cخواهم.pdf": "می\u200cخواهم.pdf",  # noqa: RUF001  Persian is written with it
    "👩\u200d💻 \u2764\ufe0f.txt": "👩\u200d💻 \u2764\ufe0f.txt",
    "\u200b\u2060": "upload",
    "\u200d": "upload",
}


@pytest.mark.parametrize(("name", "kept"), SEEN.items(), ids=ascii)
def test_what_is_seen_of_a_name_is_kept(server, key, name, kept):
    assert stored(server, key, b"x", name)["filename"] == kept


OUT = {
    "plain.txt": 'filename="plain.txt"',
    "résumé.txt": "filename=\"resume.txt\"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt",
    "50% of it.txt": "filename=\"50_ of it.txt\"; filename*=UTF-8''50%25%20of%20it.txt",
    "amazon.com: order 12.txt": "filename=\"amazon.com_ order 12.txt\"; filename*=UTF-8''amazon.com%3A%20order%2012.txt",
    "a%22b.txt": "filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt",
    "Ægir ß.txt": "filename=\"AEgir ss.txt\"; filename*=UTF-8''%C3%86gir%20%C3%9F.txt",
    "报告 2024.pdf": "filename=\"__ 2024.pdf\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%202024.pdf",
    "测试.pdf": "filename=\"{id}.pdf\"; filename*=UTF-8''%E6%B5%8B%E8%AF%95.pdf",
    "☃": "filename=\"{id}\"; filename*=UTF-8''%E2%98%83",
    "a\uff0fb\uff02.txt": "filename=\"a_b_.txt\"; filename*=UTF-8''a%EF%BC%8Fb%EF%BC%82.txt",
    ".hidden": 'filename=".hidden"',
    "\u0301.txt": "filename=\"{id}.txt\"; filename*=UTF-8''%CC%81.txt",
    "a\uff0eexe": "filename=\"{id}\"; filename*=UTF-8''a%EF%BC%8Eexe",
    "a.e\u0301xe": "filename=\"{id}\"; filename*=UTF-8''a.e%CC%81xe",
    "a =?utf-8?B?LmV4ZQ==?=": "filename=\"a =_utf-8?B?LmV4ZQ==_=\"; filename*=UTF-8''a%20%3D%3Futf-8%3FB%3FLmV4ZQ%3D%3D%3F%3D",
}


@pytest.mark.parametrize(("name", "header"), OUT.items(), ids=ascii)
def test_a_download_carries_its_name_for_old_clients_and_new_ones(server, key, name, header):
    file = stored(server, key, b"x", name)
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.headers["Content-Disposition"] == "attachment; " + header.replace("{id}", file["id"])
