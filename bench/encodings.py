"""How well the encodings of texts are found: python -m bench.encodings FOLDER.

FOLDER holds a folder for each encoding (`utf-8`, `utf-8-russian`), as `tests` in the repository of chardet does; those
that Python has no codec for are left out. A file counts as read if at most one character in 200 is another one.
"""

import itertools
import sys
from pathlib import Path

from lazu.documents import encodings, refusals

#: What is read with a wider codec than its folder says: the same letters, and more.
_WIDER = {
    "iso-8859-1": "cp1252", "gb2312": "gb18030", "euc-kr": "cp949", "shift_jis": "cp932", "tis-620": "cp874",
    "big5": "big5hkscs", "iso-8859-9": "cp1254", "euc-jp": "euc_jp_ms", "iso-2022-jp": "iso2022_jp_ms",
}  # fmt: skip


def main(folder: Path) -> None:
    paths = [path for path in sorted(folder.glob("*/*")) if path.is_file()]
    wanted = {path: text for path in paths if (text := meant(path)) is not None}
    wrong = [path for path, text in wanted.items() if not alike(found(path.read_bytes()), text)]
    print(f"{len(wanted) - len(wrong)} of {len(wanted)} files")
    for path in wrong:
        print(f"  {path.parent.name}/{path.name}")


def meant(path: Path) -> str | None:
    """The text of a file in the encoding that its folder names, None if Python knows none."""
    words = path.parent.name.lower().split("-")
    for name in ("-".join(words[:end]) for end in range(len(words), 0, -1)):
        try:
            text = path.read_bytes().decode(_WIDER.get(name, name), "replace")
        except LookupError:
            continue
        return encodings.clean(text.removeprefix("\ufeff"))
    return None


def found(data: bytes) -> str:
    try:
        return encodings.decode(data).text
    except refusals.Refused:
        return ""


def alike(text: str, wanted: str) -> bool:
    pairs = itertools.zip_longest(text, wanted)
    return sum(one != other for one, other in pairs) <= len(wanted) / 200


if __name__ == "__main__":
    main(Path(sys.argv[1]))
