"""Which bytes are text, in which encoding, and which kind of text: by its whole structure, else by the file's name.

To add a name's type, add a row to `NAMES`.
"""

import codecs
import re

#: A text file's name says more than its content can.
NAMES = {
    "txt": "text/plain", "log": "text/plain", "md": "text/markdown", "markdown": "text/markdown", "rst": "text/x-rst",
    "adoc": "text/asciidoc", "org": "text/x-org", "tex": "text/x-tex", "bib": "text/x-bibtex",
    "csv": "text/csv", "tsv": "text/tab-separated-values", "json": "application/json", "jsonl": "application/jsonl",
    "ndjson": "application/x-ndjson", "geojson": "application/geo+json", "ipynb": "application/x-ipynb+json",
    "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml", "xml": "application/xml",
    "html": "text/html", "htm": "text/html", "xhtml": "application/xhtml+xml",
    "css": "text/css", "scss": "text/x-scss", "less": "text/x-less",
    "eml": "message/rfc822", "mht": "message/rfc822", "mhtml": "message/rfc822",
    "ics": "text/calendar", "vcf": "text/vcard", "vtt": "text/vtt",
    "srt": "application/x-subrip", "diff": "text/x-diff", "patch": "text/x-diff", "ini": "text/x-ini",
    "js": "text/javascript", "mjs": "text/javascript", "cjs": "text/javascript", "jsx": "text/jsx",
    "ts": "text/x-typescript", "tsx": "text/x-typescript", "vue": "text/x-vue", "svelte": "text/x-svelte",
    "py": "text/x-python", "pyi": "text/x-python", "rb": "text/x-ruby", "pl": "text/x-perl", "pm": "text/x-perl",
    "php": "text/x-php", "lua": "text/x-lua", "r": "text/x-r", "jl": "text/x-julia", "sql": "application/sql",
    "c": "text/x-c", "h": "text/x-c", "cc": "text/x-c++", "cpp": "text/x-c++", "cxx": "text/x-c++",
    "hpp": "text/x-c++", "cs": "text/x-csharp", "vb": "text/x-vb", "fs": "text/x-fsharp", "go": "text/x-golang",
    "rs": "text/x-rust", "zig": "text/x-zig", "java": "text/x-java", "kt": "text/x-kotlin", "kts": "text/x-kotlin",
    "scala": "text/x-scala", "groovy": "text/x-groovy", "gradle": "text/x-groovy", "clj": "text/x-clojure",
    "dart": "text/x-dart", "swift": "text/x-swift", "hs": "text/x-haskell", "ml": "text/x-ocaml",
    "ex": "text/x-elixir", "exs": "text/x-elixir", "erl": "text/x-erlang", "f90": "text/x-fortran",
    "asm": "text/x-asm", "s": "text/x-asm", "proto": "text/x-protobuf", "graphql": "application/graphql",
    "tf": "text/x-terraform", "po": "text/x-gettext-translation",
}  # fmt: skip

# Possessive throughout: no text makes them try twice.
_COMMENT = r"--(?:(?!-->).)*+--"
_DOCTYPE = r"DOCTYPE svg[^>\[]*+(?:\[[^\]]*+\])?+[^>]*+"
_PROLOGUE = rf"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!(?:{_COMMENT}|{_DOCTYPE})>\s*+)*+"

#: Formats that are written as text, each by a structure that no prose has; they are what they are under any name.
_STRUCTURES = (
    (re.compile(r"\{\\rtf\d"), "text/rtf"),
    (re.compile(r"%!PS-Adobe-\d"), "application/postscript"),
    (re.compile(rf"{_PROLOGUE}<svg[\s>]", re.DOTALL), "image/svg+xml"),
    (re.compile(r"P1\s(?:\s*+#[^\n]*+\n)*+[\d\s]+\Z"), "image/x-portable-bitmap"),
    (re.compile(r"P2\s(?:\s*+#[^\n]*+\n)*+[\d\s]+\Z"), "image/x-portable-greymap"),
    (re.compile(r"P3\s(?:\s*+#[^\n]*+\n)*+[\d\s]+\Z"), "image/x-portable-pixmap"),
)

#: The same for texts whose name says nothing.
_NAMELESS = (
    (re.compile(r"\s*<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE), "text/html"),
    (re.compile(r"<\?xml\s"), "application/xml"),
    (re.compile(r"(?:[\w-]++:[^\n]*+\n(?:[ \t][^\n]*+\n)*+)*?MIME-Version:\s*1\.0", re.IGNORECASE), "message/rfc822"),
)

#: An encoding that Lazu does not name (RFC 1428 §3): what is text, but not Unicode.
UNKNOWN = "unknown-8bit"

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip

# What switches character sets in text of 7 bits, as ISO-2022-JP is (RFC 1468).
_ISO_2022 = re.compile(rb"\x1b[$(][@A-J]")

#: Control characters that text has: bell, backspace, tab, line and page ends, escape (a terminal's colours).
_IN_TEXT = b"\a\b\t\n\v\f\r\x1b"
_CONTROLS = bytes({*range(32), 127} - set(_IN_TEXT))

#: Of Unicode text less than one in so many bytes is another control character: some logs have them for separators.
_PER_CONTROL = 4


def encoding(head: bytes) -> str | None:
    """The encoding of a text that begins with `head`, `utf-8`, `utf-16`, `utf-32` or `UNKNOWN`; None for no text."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            text = _decoded(head, name)
            return None if text is None or "\0" in text else name
    if b"\0" in head:
        return None
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if _decoded(head, "utf-8") is None or _ISO_2022.search(head):
        return None if controls else UNKNOWN
    return "utf-8" if controls * _PER_CONTROL < len(head) else None


def kind(head: bytes, encoding: str, ending: str) -> str:
    """The media type of a text in `encoding` whose name has the extension `ending`."""
    text = _decoded(head, encoding if encoding != UNKNOWN else "latin-1") or ""
    found = _structure(text, _STRUCTURES) or NAMES.get(ending) or _structure(text, _NAMELESS) or "text/plain"
    # Without it a text is read as Latin-1 by some (RFC 7763 §3 requires it for Markdown).
    return f"{found}; charset={encoding}" if found.startswith("text/") and encoding != UNKNOWN else found


def bare(media_type: str) -> str:
    """`media_type` without its charset: what model servers are told, and readers decide by."""
    return media_type.partition(";")[0]


def _structure(text: str, known: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    return next((found for pattern, found in known if pattern.match(text)), None)


def _decoded(head: bytes, name: str) -> str | None:
    """`head` as text without a byte order mark, None if it isn't in this encoding; its end may be cut."""
    try:
        return codecs.getincrementaldecoder(name)().decode(head).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None
