"""The door to libmagic: what may be uploaded for which purpose, and what a file is by its content and its name.

To add a purpose or an extension, add a row to a table here; to add a text's type, in `texttypes`. What the client
claims never counts.
"""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

import pylibmagic  # imported first: puts its libmagic, of a known version, where python-magic finds it

import magic  # isort: skip
from lazu import containers, filenames, magictable, sizes, texttypes
from lazu.containers import Peek
from lazu.errors import PurposeNotSupported, UnsupportedFileType
from lazu.sizes import MB


@dataclass(frozen=True)
class Purpose:
    """The rules of a purpose: the largest size in bytes, and the types of its files (None: any but executables)."""

    max_bytes: int
    types: frozenset[str] | None = None

    def rule(self) -> str:
        """Its rules in words."""
        which = ", ".join(sorted(self.types)) if self.types else "any type but executables"
        return f"{which}; up to {sizes.words(self.max_bytes)}"


#: Every purpose; openapi.json, docs/api.md and the page are made from this table.
PURPOSES = {
    "user_data": Purpose(512 * MB),
    "vision": Purpose(20 * MB, frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})),
}

#: The largest file of any purpose: what may be received while the purpose is still unknown.
MAX_BYTES = max(purpose.max_bytes for purpose in PURPOSES.values())

#: Extensions that make a file executable whatever its content.
EXECUTABLE_EXTENSIONS = frozenset(
    """exe dll com scr msi bat cmd ps1 vbs vbe wsf hta cpl sys drv ocx sh bash zsh ksh csh fish command so dylib run
    app apk jar class deb rpm dmg pkg appimage elf lnk reg""".split()
)

#: What libmagic calls a program. Scripts of languages (Python, Perl …) are source code and welcome.
EXECUTABLE_TYPES = frozenset(
    """application/x-dosexec application/vnd.microsoft.portable-executable application/x-executable
    application/x-pie-executable application/x-sharedlib application/x-object application/x-coredump application/x-elf
    application/x-mach-binary application/x-java-applet application/java-vm""".split()
)

#: First bytes of programs that libmagic does not name when they are cut short: ELF, Mach-O (four kinds, two byte
#: orders), Java class and fat Mach-O.
EXECUTABLE_SIGNATURES = (
    b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf", b"\xbe\xba\xfe\xca", b"\xbf\xba\xfe\xca",
)  # fmt: skip

#: Extensions of documents and data, in which a script's first line may be an example.
DOCUMENTS = frozenset("md markdown rst adoc json jsonl ipynb csv html tex log".split())

# The interpreter of a script, by its path, and what programs name behind them that run another one.
_SHELL = re.compile(
    r"(?:ba|rba|z|da|a|k|mk|pdk|o|ok|po|tc|c|fi|ya|xon|elvi)?sh-?[\d.]*(?:\.exe)?|nu|pwsh(?:-preview)?"
    r"|powershell(?:\.exe)?|\$\{shell\}"
)
_THROUGH = frozenset("env busybox toybox nice nohup setsid sudo doas time timeout stdbuf script nix-shell".split())
_OPTION = re.compile(r"-\w*S|--s[a-z-]*=")
_BATCH = re.compile(rb"\s*@echo\s+off\b", re.IGNORECASE)

# The header of a PDF may stand behind what a printer or a mail program put before it (ISO 32000-1, Annex H.3.4.1).
_PDF = re.compile(rb"%PDF-\d\.\d[ \t]*(?:[\r\n%]|\Z)")
_PDF_WITHIN = 1024
_PRINTER = b"\x1b%-12345X"

#: More of a file's beginning than this changes no answer.
HEAD_BYTES = 64 * 1024
#: So short a text in an older encoding may also be the beginning of something else: libmagic is asked.
_SHORT = 32
#: What libmagic tells by two bytes that are letters in older encodings: `Vé` and `яв` are audio to it, `(é` is zlib.
_WEAK = frozenset("application/zlib audio/mpeg audio/x-hx-aac-adts audio/x-mp4a-latm".split())

_OCTETS = "application/octet-stream"
_DOS = "application/x-dosexec"

_RULES = Path(pylibmagic.__file__).parent / "magic.mgc"
# Texts are judged without it, and its tests for them take up to a second for 64 KB: CSV, JSON and encodings too
# (MAGIC_NO_CHECK_CSV, _JSON and _ENCODING of magic.h). docs/decisions/0071-types.md
_NO_CSV, _NO_ENCODING, _NO_JSON = 0x80000, 0x200000, 0x400000
_NO_TEXTS = magic.MAGIC_NO_CHECK_ASCII | magic.MAGIC_NO_CHECK_TOKENS | _NO_CSV | _NO_ENCODING | _NO_JSON


def _libmagic(table: bytes = b"") -> magic.Magic:
    """A libmagic with `table`, which must stay where it is, instead of all rules of the wheel; no others are added."""
    made = magic.Magic(mime=True, magic_file=str(_RULES))  # else those of the variable MAGIC too
    magic.magic_setflags(made.cookie, made.flags | _NO_TEXTS)
    if table:
        where, size = ctypes.c_char_p(table), ctypes.c_size_t(len(table))
        if _load_buffers(made.cookie, ctypes.byref(where), ctypes.byref(size), 1):
            raise ValueError("libmagic does not take a table that was made of its own.")
    return made


_POINTERS = ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_size_t)
_load_buffers = magic.libmagic.magic_load_buffers
_load_buffers.argtypes = [ctypes.c_void_p, *_POINTERS, ctypes.c_size_t]

#: For most bytes of no known type this is enough, and takes a tenth of what all rules take.
with _RULES.open("rb") as _compiled:
    BEGINNINGS = magictable.beginnings(_compiled.read())
_all_rules = _libmagic()
_other_rules = _libmagic(BEGINNINGS.table) if BEGINNINGS else _all_rules


def purpose(name: str) -> Purpose:
    """The purpose called `name`; raises `PurposeNotSupported`."""
    if name not in PURPOSES:
        *first, last = (f"'{known}'" for known in PURPOSES)
        known = f"{', '.join(first)} and {last}"
        raise PurposeNotSupported(f"This purpose is not supported; the supported purposes are {known}.", "purpose")
    return PURPOSES[name]


def identify(peek: Peek, size: int, name: str, wanted: Purpose) -> str:
    """The MIME type of a file of `size` bytes by what `peek` shows of them, and its stored name.

    A text of Unicode has a `charset`, found in its first `HEAD_BYTES`. Raises `UnsupportedFileType` for an executable,
    and for a type that the purpose does not take.
    """
    head = peek(0, HEAD_BYTES)
    check_name(name)
    found = _type(peek, size, head, filenames.extension(name))
    if found in EXECUTABLE_TYPES or _is_program(head, found) or _is_script(head, filenames.extension(name)):
        raise UnsupportedFileType("Executable files are not accepted, and this file's content is a program.", "file")
    if wanted.types is not None and found not in wanted.types:
        kinds = ", ".join(sorted(wanted.types))
        raise UnsupportedFileType(f"This file's content is {found}; this purpose takes {kinds}.", "file")
    return found


def check_name(name: str, param: str = "file") -> None:
    """Raise `UnsupportedFileType` for the stored name of an executable."""
    if (ending := filenames.extension(name)) in EXECUTABLE_EXTENSIONS:
        raise UnsupportedFileType(f"Executable files are not accepted: '.{ending}'.", param)


def _type(peek: Peek, size: int, head: bytes, ending: str) -> str:
    encoding = texttypes.encoding(head)
    # Within a text it is an example.
    if (pdf := _PDF.search(head[:_PDF_WITHIN])) and (pdf.start() == 0 or not encoding or head.startswith(_PRINTER)):
        return "application/pdf"
    if encoding and (encoding != texttypes.UNKNOWN or len(head) >= _SHORT or by_libmagic(head) in (_OCTETS, *_WEAK)):
        return texttypes.kind(head, encoding, ending)
    found = None
    if head.startswith(containers.ZIP):
        found = containers.zip_type(peek, size)
    elif head.startswith(containers.OLE2):
        found = containers.ole2_type(peek)
    return found or by_libmagic(head)


def by_libmagic(head: bytes) -> str:
    """The type that libmagic finds, but never DOS .COM: its rules for that test one byte, which much other data has."""
    if BEGINNINGS and not BEGINNINGS.among(head) and _other_rules.from_buffer(head) == _OCTETS:
        return _OCTETS
    found: str = _all_rules.from_buffer(head)
    return _OCTETS if found == _DOS and not head.startswith(b"MZ") else found


def _is_program(head: bytes, found: str) -> bool:
    """Whether this is a program, or the beginning of one: a text may start with MZ too."""
    return head.startswith(EXECUTABLE_SIGNATURES) or (head.startswith(b"MZ") and found in (_DOS, _OCTETS))


def _is_script(head: bytes, ending: str) -> bool:
    """Whether this is a shell's script, and not a document with one in it."""
    begin = head[:512].removeprefix(b"\xef\xbb\xbf")
    line = re.split(rb"[\n\0]", begin, maxsplit=1)[0].decode("latin-1")  # Linux ends the line at a NUL too
    begins = _BATCH.match(begin) is not None or (line.startswith("#!") and _names_shell(line[2:]))
    return begins and not (ending in DOCUMENTS and texttypes.encoding(head))  # no document has a program behind it


def _names_shell(line: str) -> bool:
    # As `env -S` reads it: `\\_` is a space, `\\c` the end, quotes go.
    line = re.sub(r"""\\[_tnrvf]""", " ", line.partition("\\c")[0])
    line = re.sub(r"""["'\\]""", "", line)
    words = [_OPTION.sub("", word).rpartition("/")[2].casefold() for word in line.split()]
    through = bool(words) and words[0] in _THROUGH
    return any(_SHELL.fullmatch(word) for word in (words if through else words[:1]))
