"""The door to libmagic: what may be uploaded for which purpose, and what a file is by its content and its name.

To add a purpose, an extension or a name's type, add a row to a table here. What the client claims never counts.
"""

import re
import unicodedata
from dataclasses import dataclass

import pylibmagic  # noqa: F401  imported first: puts its libmagic, of a known version, where python-magic finds it

import magic  # isort: skip
from lazu.errors import PurposeNotSupported, UnsupportedFileType

MB = 2**20


@dataclass(frozen=True)
class Purpose:
    """What a file is for: its largest size in bytes, and the types it may have (None: any but executables)."""

    max_bytes: int
    types: frozenset[str] | None = None


PURPOSES = {
    "user_data": Purpose(512 * MB),
    "vision": Purpose(20 * MB, frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})),
}

#: The largest file of any purpose: what may be received while the purpose is still unknown.
MAX_BYTES = max(purpose.max_bytes for purpose in PURPOSES.values())

#: Extensions that make a file executable whatever its content.
EXECUTABLE_EXTENSIONS = frozenset(
    """exe dll com scr msi bat cmd ps1 vbs vbe wsf hta cpl sys drv ocx sh bash zsh ksh csh fish command so dylib bin run
    app apk jar class deb rpm dmg pkg appimage elf out lnk reg""".split()
)

#: What libmagic calls a program. Scripts of languages (Python, Perl …) are source code and welcome.
EXECUTABLE_TYPES = frozenset(
    """application/x-dosexec application/vnd.microsoft.portable-executable application/x-executable
    application/x-pie-executable application/x-sharedlib application/x-object application/x-coredump application/x-elf
    application/x-mach-binary application/x-java-applet application/java-vm text/x-shellscript""".split()
)

#: First bytes of programs that libmagic does not name when they are cut short: ELF, Mach-O (four kinds, two byte
#: orders), Java class and fat Mach-O.
EXECUTABLE_SIGNATURES = (
    b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf", b"\xbe\xba\xfe\xca", b"\xbf\xba\xfe\xca",
)  # fmt: skip

#: A text file's name says more than its content can.
TEXT_NAMES = {
    "md": "text/markdown", "markdown": "text/markdown", "csv": "text/csv", "tsv": "text/tab-separated-values",
    "json": "application/json", "jsonl": "application/jsonl", "ndjson": "application/x-ndjson",
    "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml", "xml": "application/xml",
    "html": "text/html", "htm": "text/html", "css": "text/css", "js": "text/javascript", "mjs": "text/javascript",
    "ts": "text/x-typescript", "py": "text/x-python", "c": "text/x-c", "h": "text/x-c", "cpp": "text/x-c++",
    "cs": "text/x-csharp", "go": "text/x-golang", "java": "text/x-java", "php": "text/x-php", "rb": "text/x-ruby",
    "rs": "text/x-rust", "tex": "text/x-tex", "sql": "application/sql", "log": "text/plain", "txt": "text/plain",
    "ics": "text/calendar", "vcf": "text/vcard", "rst": "text/x-rst", "srt": "application/x-subrip",
}  # fmt: skip

#: Office documents are zip archives; libmagic sees through some of them only.
_OPENXML = "application/vnd.openxmlformats-officedocument"
ZIP_NAMES = {
    "docx": f"{_OPENXML}.wordprocessingml.document",
    "xlsx": f"{_OPENXML}.spreadsheetml.sheet",
    "pptx": f"{_OPENXML}.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
}

#: libmagic looks at a file's beginning; more than this changes no answer and costs time (0.1 ms for text, measured).
HEAD_BYTES = 64 * 1024

MAX_NAME_BYTES = 255

# Marks, embeddings, overrides and isolates of the bidirectional algorithm (Unicode UAX #9 §2).
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Cc control, Cs surrogate, Zl and Zp line separators.
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}

_DOS = "application/x-dosexec"

_libmagic = magic.Magic(mime=True)


def purpose(name: str) -> Purpose:
    """The purpose called `name`; raises `PurposeNotSupported`."""
    if name not in PURPOSES:
        known = " and ".join(f"'{known}'" for known in PURPOSES)
        raise PurposeNotSupported(f"This purpose is not supported; the supported purposes are {known}.", "purpose")
    return PURPOSES[name]


def clean_name(sent: str) -> str:
    """The name to store for what a client `sent`: one path segment of at most 255 bytes of UTF-8, never empty."""
    last = re.split(r"[/\\]", sent)[-1]
    clean = "".join(c for c in last if c not in _BIDI and unicodedata.category(c) not in _CONTROL)
    cut = clean.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return cut if _bare(cut) else "upload"


def extension(name: str) -> str:
    """The last extension of a stored name, lower case, without the dot: `exe` for `a.EXE. `; may be empty."""
    _, dot, last = _bare(name).casefold().rpartition(".")
    return last if dot else ""


def _bare(name: str) -> str:
    """`name` without the dots and spaces at its end, which Windows drops too."""
    return re.sub(r"[.\s]+$", "", name)


def identify(head: bytes, name: str, wanted: Purpose) -> str:
    """The MIME type of a file by its first `HEAD_BYTES` and its stored name.

    Raises `UnsupportedFileType` for an executable, and for a type that the purpose does not take.
    """
    found = _refine(_found(head), extension(name))
    if extension(name) in EXECUTABLE_EXTENSIONS:
        raise UnsupportedFileType(f"Executable files are not accepted: '.{extension(name)}'.", "file")
    if found in EXECUTABLE_TYPES or head.startswith(EXECUTABLE_SIGNATURES) or _is_dos(head, found):
        raise UnsupportedFileType("Executable files are not accepted, and this file's content is a program.", "file")
    if wanted.types is not None and found not in wanted.types:
        kinds = ", ".join(sorted(wanted.types))
        raise UnsupportedFileType(f"This file's content is {found}; this purpose takes {kinds}.", "file")
    return found


def _found(head: bytes) -> str:
    """What libmagic says, but for DOS .COM files: it knows them by one byte, and so takes much other data for one."""
    found: str = _libmagic.from_buffer(head)
    return "application/octet-stream" if found == _DOS and not head.startswith(b"MZ") else found


def _is_dos(head: bytes, found: str) -> bool:
    """Whether this is a DOS or Windows program, or the beginning of one: a text may start with MZ too."""
    return head.startswith(b"MZ") and not found.startswith("text/")


def _refine(found: str, ending: str) -> str:
    if found in EXECUTABLE_TYPES:
        return found
    if found.startswith("text/") or found == "application/json":
        return TEXT_NAMES.get(ending, found)
    if found == "application/zip":
        return ZIP_NAMES.get(ending, found)
    return found

