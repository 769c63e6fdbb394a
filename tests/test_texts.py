# ruff: noqa: RUF001 - letters of all alphabets are what this is about
"""Texts of every encoding and state are read as they were meant, and what is no text is told from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.everyday import SAMPLES
from lazu.documents import encodings, reading, refusals


@pytest.fixture
def read(tmp_path):
    """A function that reads bytes as a text file."""

    def read(data, kind="text/plain"):
        path = tmp_path / "blob"
        path.write_bytes(data)
        return reading.text(path, kind)

    return read


CUT = "日本語テキス".encode()
LOG = "".join(f"2026-01-01T00:00:{n:02d}Z \x1b[32mINFO\x1b[0m  request {n}\n" for n in range(30))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("café crème naïve garçon\n".encode() + b"stray \xe9 byte", "café crème naïve garçon\nstray � byte"),
        (CUT + "ト".encode()[:2], "日本語テキス�"),
        ("ト".encode()[1:] + CUT, "��日本語テキス"),
        (LOG.encode(), LOG.replace("\x1b[32m", "").replace("\x1b[0m", "")),
        (b"\x1b]0;title\x07done\x07", "done"),
        (b"N\bNA\bAM\bME\bE\n  _\bl_\bs", "NAME\n  ls"),
        (b"8=FIX.4.2\x019=65\x0135=0\x01", "8=FIX.4.2 9=65 35=0 "),
        (b"A=1\0B=2\0", "A=1\nB=2\n"),
        (b"AB\0CD\0", "AB\nCD\n"),
        (b"\xef\xbb\xbf1,2\n\xef\xbb\xbf3,4\n", "1,2\n3,4\n"),
        ("Grüße\n".encode("utf-32-be"), "Grüße\n"),
        ("これは日本語の文章です。".encode("iso2022_jp") * 40, "これは日本語の文章です。" * 40),
    ],
    ids=["stray", "cut", "cut in front", "colours", "title and bell", "overstrikes", "FIX", "NULs", "NULs both ways", "marks inside", "UTF-32", "ISO-2022"],
)  # fmt: skip
def test_what_nobody_has_to_guess_is_not_guessed(read, data, text):
    assert read(data) == (text, None)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"100\b\b\b200\n", "200\n"),
        (b"copied 10%\b\b\b20%\b\b\b30%\r\nend\b\b\b\r\n", "copied 30%\r\nend\r\n"),
        (b"tables: 1/16\b\b\b\b16/16\b\b\b\b\bdone \n", "tables: done \n"),
        (b"$ lss\b\x1b[K -l\n$ ls\b\x1b[K\n", "$ ls -l\n$ l\n"),
        (b"$ abcd\b\bXcd\b\b\n", "$ abXcd\n"),
        (b"N\b\x1b[1mN\x1b[0m\b\bA\n", "A\n"),
        (b"above\n\b\bx\n", "above\nx\n"),
    ],
    ids=["figure", "progress", "mke2fs", "shell", "typed between", "colours", "begin of a line"],
)
def test_what_is_typed_over_is_gone_and_what_is_typed_is_read(read, data, text):
    """Of several backspaces one took a letter back: `100`, typed over by `200`, was `10200`."""
    assert read(data) == (text, None)


@pytest.mark.parametrize(
    "declaration", ['<meta charset="ibm866">', "<?xml version='1.0' encoding='cp866'?>", "# -*- coding: cp866 -*-\n", '@charset "ibm866";']
)
def test_what_a_file_declares_comes_first(read, declaration):
    text = f"{declaration} Привет"
    assert read(text.encode("cp866")) == (text, None)


def test_a_false_declaration_is_not_believed(read):
    text = '<meta charset="utf-16"> Grüße, <meta charset="shift_jis"> schöne Grüße aus Köln'
    assert read(text.encode()) == (text, None)


@pytest.mark.parametrize(
    ("codec", "name", "text"),
    [
        ("gb2312", "gb18030", "/* 离散余弦变换 */\n#ifndef DCT_H\nvoid dct(float *in, float *out); // 输入输出\n"),
        ("cp1255", "windows-1255", "זהו קובץ בדיקה בעברית."),
        ("cp949", "euc-kr", "이름,나이\n홍길동,30\n"),
        ("cp932", "shift_jis", "①②③ 髙橋"),
        ("cp1252", "windows-1252", "Nachname;Ort;Betrag\nMüller;Köln;12\nSchröder;Düsseldorf;400\n"),
        ("cp1254", "windows-1254", "Şirketimiz İstanbul'da çalışıyor. Müşteri bilgileri aşağıdadır: ağır yük, ığdır, gümüş."),
        ("cp932", "shift_jis", "名前,年齢,住所\r\n佐藤太郎,30,東京\r\n三木英子,25,大阪\r\n髙橋淳,35,名古屋\r\n"),
    ],
)
def test_a_guess_is_told(read, codec, name, text):
    assert read(text.encode(codec)) == (text, name)


SIGNS = [
    "Rome,31°C\n", "It’s “fine”.\n", "a\xa0b 5\xa0kg\n", "© 2024 Acme® Ltd™\n", "See § 5 and ¶ 3.\n", "cap,µF\nC1,10\n", "room,area\n1,20 m²\n2,7m³\n", "Use ½ cup, 1½ spoon\n",
    "item,price\npen,£1.20\ntip,20 €\n", "Tape – blue…\n", "plug,Ø mm\nA,10 ± 0.1\n", "¿Donde esta? ¡Aqui! «Si»\n", "52°31'N 13°24'E\n", "# Größe in µm\n", "n° 5; Küche; 21 °C\n", "naïve\xa0; 5\xa0€ à midi\n",
]  # fmt: skip


@pytest.mark.parametrize("text", SIGNS)
@pytest.mark.parametrize("rows", [1, 1000])
def test_signs_and_few_letters_are_those_of_windows(read, text, rows):
    assert read(text.encode("cp1252") * rows) == (text * rows, "windows-1252")


#: Letters whose bytes are signs of windows-1252, which they would be if they stood elsewhere.
LETTERS = [
    ("cp1250", "żona Michała była za małą łódką\n"), ("iso8859_2", "pridať\nkoniec\n"), ("cp1250", "bilet,5 zł\n"), ("cp932", "% %Y年%m月%d日 %A\n"), ("cp1251", "Іван і Марія\n"), ("koi8_r", "Ещё ёлка\n"),
    ("cp866", "Файлы и папки в отчёте\n"), ("iso8859_5", "Кошка и собака\n"), ("cp949", "높이 5 m\n"), ("gb18030", "温度,21度\n阿姨,3个\n"), ("big5", "溫度,21度\n臺北,3個\n"), ("cp874", "ราคา 5 บาท\n"),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "text"), LETTERS)
def test_letters_are_not_taken_for_signs(read, codec, text):
    assert read(text.encode(codec))[0] == text


#: What Japanese banks write, alone and beside kanji; in other encodings its bytes are letters.
BANK = "20240105,ﾌﾘｺﾐ ﾀﾅｶ ﾀﾛｳ,12000\r\n20240110,ｶ)ﾔﾏﾀﾞｼﾖｳｼﾞ,3400\r\n20240125,NTTﾋｶﾞｼﾆﾎﾝ,5500\r\n"
CLIENTS = "氏名,ﾌﾘｶﾞﾅ,支店\r\n田中太郎,ﾀﾅｶ ﾀﾛｳ,東京\r\n鈴木花子,ｽｽﾞｷ ﾊﾅｺ,ﾖｺﾊﾏ\r\n"


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("text", [BANK, CLIENTS])
def test_katakana_of_half_width_is_read(read, text, rows):
    assert read(text.encode("cp932") * rows) == (text * rows, "shift_jis")


OTHERS = [
    ("cp874", "พฤศจิกายน\n"), ("koi8_r", "описывающая\n"), ("iso8859_5", "Замка\n"), ("big5", "這樣便不會再出現這個提示\n"), ("big5", "引號數目為奇數\n"), ("cp949", "메일이 있습니다.\n"), ("euc_jp", "名前を付けて保存\n"),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "text"), OTHERS)
def test_letters_are_not_taken_for_katakana(read, codec, text):
    assert read(text.encode(codec))[0] == text


@pytest.mark.parametrize(("codec", "text"), [("cp1250", "Świątek;Poznań;Łódź\n"), ("cp1250", "Kraków;Świątek;Góra\n"), ("mac_roman", "Møller;Sørensen;Østergård\n")])
def test_no_guess_has_controls_where_others_have_letters(read, codec, text):
    """In ISO 8859 the bytes of letters that other encodings have there are controls, which nobody writes."""
    assert read(text.encode(codec))[0] == text


TURKISH = "Ad,Soyad,Şehir\n" + "Ayşe,Yılmaz,İstanbul\nGülşen,Çelik,İzmir\nOğuz,Şahin,Muğla\n"
JAPANESE = "名前,住所,電話\n山田太郎,東京都千代田区,03-1234-5678\n鈴木花子,大阪府大阪市北区,06-1234-5678\n佐藤次郎,愛知県名古屋市,052-123-4567\n"


@pytest.mark.parametrize("rows", [1, 30])
@pytest.mark.parametrize(("codec", "text"), [("cp1254", TURKISH), ("euc_jp", JAPANESE), ("gb18030", "姓名,城市\n张三,北京\n李四,上海\n王小明,广州市天河区\n陈秀英,深圳市南山区\n")])
def test_names_alone_are_read_in_their_language(read, codec, text, rows):
    """Tables have none of the small words that tell languages apart."""
    assert read(text.encode(codec) * rows)[0] == text * rows


PAYMENT = "ПЛАТЕЖНОЕ ПОРУЧЕНИЕ\nПОЛУЧАТЕЛЬ: ООО РОМАШКА\n"
ADDRESS = "Имя: ИВАНОВ ИВАН ИВАНОВИЧ\nГород: САНКТ-ПЕТЕРБУРГ, НЕВСКИЙ ПРОСПЕКТ, ДОМ 28\n"
GREEK = "ΕΝΤΟΛΗ ΠΛΗΡΩΜΗΣ\nΔικαιούχος: ΠΑΠΑΔΟΠΟΥΛΟΣ ΓΕΩΡΓΙΟΣ\n"
CAPITALS = [
    *((codec, text) for codec in ("cp1251", "koi8_r", "cp866", "cp855", "iso8859_5", "mac_cyrillic") for text in (PAYMENT, ADDRESS)),
    *((codec, "ПЛАТІЖНЕ ДОРУЧЕННЯ\nОДЕРЖУВАЧ: ТОВ КИЇВСЬКИЙ ХЛІБ\n") for codec in ("cp1251", "koi8_u")),
    *((codec, GREEK) for codec in ("cp1253", "iso8859_7")),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "text"), CAPITALS)
def test_capitals_are_read(read, codec, text):
    """The detector knows small letters: those of KOI8-R are the capitals of windows-1251 and of Greek."""
    assert read(text.encode(codec))[0] == text
    assert encodings.decode(text.encode(codec) * 1000).text == text * 1000


def test_small_letters_are_not_taken_for_capitals():
    for codec, text in ((codec, text.lower()) for codec, text in CAPITALS):
        assert encodings.decode(text.encode(codec)).text == text, codec


@pytest.mark.parametrize("text", ["Nom;Montant\nLefèvre;12,00 €\nHélène;8,50 €\nFrançois;3,20 €\n", "Größe;5 €\n", "item,price\npen,€1.20\n", "NOMBRE;IMPORTE\nPEÑA;12 €\n"])
def test_the_euro_of_iso_8859_15_is_read(read, text):
    """Its byte is `¤` in windows-1252, and a letter in Thai, DOS and more."""
    assert read(text.encode("iso8859_15")) == (text, "iso-8859-15")


@pytest.mark.parametrize("text", ["Nom;Prénom\nDupont;Hélène\nMartin;René\n", "Thème: été 2026\n", "Perché non è più così?\n"])
def test_few_french_and_italian_letters_are_no_czech_ones(read, text):
    """`Hélène` was `Hélčne`: windows-1250 fits so few letters as well, but its consonants stood where vowels do."""
    assert read(text.encode("cp1252")) == (text, "windows-1252")


@pytest.mark.parametrize("text", ["Výčet;počet\nVčela;12\n", "Račun;več\nKovač;Hočem\n"])
def test_few_czech_and_slovene_letters_are_no_french_ones(read, text):
    assert read(text.encode("cp1250"))[0] == text


@pytest.mark.parametrize("text", ["Nombre;Ciudad\nÍñigo;Ávila\nJosé;Córdoba\n", "Íñiguez;Muñoz;León\n", "Begoña;Cádiz\nÍñigo;Málaga\n"])
def test_spanish_names_are_not_taken_for_polish(read, text):
    assert read(text.encode("cp1252")) == (text, "windows-1252")


MACINTOSH = [
    "nombre;ciudad;año\rJosé;Málaga;2020\rIñigo;Logroño;2021\rMaría;Cádiz;2022\r" * 4, "Prénom;Ville;Montant\rÉmile;Besançon;1 200 €\rHélène;Orléans;300 €\rFrançois;Nîmes;5 €\r" * 5,
    "Name,Note\nSmith,It’s “fine” – yes\nJones,café naïve\n" * 5, "Nachname;Straße;Betrag\rMüller;Hauptstraße;5 €\rSchröder;Königsallee;7 €\r" * 5,
]  # fmt: skip


@pytest.mark.parametrize("text", MACINTOSH)
def test_small_letters_of_macintosh_are_no_big_ones_or_signs_within_words(read, text):
    """In Windows and DOS their bytes are `M‡laga`, `PrÄnom`, `cafÄ` and `SchrÜder`."""
    assert read(text.encode("mac_roman")) == (text, "macintosh")


def test_letters_that_come_late_are_seen(read):
    text = "plain words\n" * 40_000 + "Доброго дня! Надсилаю вам звіт за їхній проєкт.\n" * 3
    assert read(text.encode("cp1251")) == (text, "windows-1251")


def test_of_fifty_everyday_samples_49_are_read_right():
    wrong = [text for codec, text in SAMPLES if encodings.decode(text.encode(codec)).text != text]
    assert len(SAMPLES) == 50
    assert len(wrong) <= 1, wrong


SEALED = """from helpers.everyday import SAMPLES
from lazu.documents import charsets, encodings, sandbox
charsets.load(all_of_them=True)
encodings.ready(b"\\xe9")
sandbox.seal()
for codec, text in SAMPLES:
    encodings.fitting(text.encode(codec))
    encodings.fitting(text.upper().encode(codec, "replace"))"""


def test_whatever_is_guessed_behind_the_seal_has_its_tables():
    """The detector warns of one that it can't open, and works it out anew."""
    tests = Path(__file__).parent
    subprocess.run([sys.executable, "-W", "error", "-c", SEALED], cwd=tests, env={"PYTHONPATH": f"{tests}:{tests.parent}"}, check=True)


@pytest.mark.parametrize("data", [b"\x07", bytes(100), b"\0\1\2" * 50, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4])
def test_what_holds_no_words_is_no_text(data):
    with pytest.raises(refusals.Refused, match="neither text"):
        encodings.decode(data)


@pytest.mark.parametrize("data", [b"\n", b" \t\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff\xfe\0\0", b"\xef\xbb\xbf\n", "\ufeff  ".encode("utf-16-be")])
def test_an_empty_text_is_told_so(data):
    """A mark alone was read as the letters of some encoding, and spaces went to the model as a file."""
    with pytest.raises(refusals.Refused, match="no text in it"):
        encodings.decode(data)
