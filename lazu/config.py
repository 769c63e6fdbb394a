"""The door to the environment: every setting, in one table, read at a start or a reload and frozen.

The real environment wins over `.env` in the project's root. A variable that is set but empty counts as not set. On a
cluster the variables of the engines' own clients, `AWS_…` and `PG…`, may stand in `.env` too.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from lazu import cpus, envfile
from lazu.errors import CannotStart

#: A URL of PostgreSQL and its list of hosts; some versions of urllib refuse a list with an address of IPv6.
_POSTGRESQL = re.compile(r"postgresql://(?:[^@/?#\[\]]*@)?([^@/?#]*)/[^@?#]*[^@/?#](?:[?#].*)?", re.DOTALL)
#: A bucket and a prefix, of what needs no encoding in a name (S3's user guide, "Object key naming guidelines"), without
#: the segments `.` and `..`, which a client or a store may resolve.
_BUCKET = re.compile(r"s3://[\w.-]+(/(?!\.{1,2}(/|$))[\w.!'()*-]+)*/?", re.ASCII | re.IGNORECASE)

#: How variables of Lazu and of its engines' clients begin; and such a variable within the value of another, where a
#: line end is missing: the clients quote values in their errors, and would quote its secret too.
_READ = ("AWS_", "PG", "LAZU_")
_NEXT = re.compile(rf"\s({'|'.join(_READ)})[A-Z0-9_]+=")

#: The largest number of bytes that there is, and of days or seconds: a larger one fits into neither poll(2) nor a date.
_BYTES, _TIME = 2**63 - 1, 999_999

PROJECT = Path(__file__).resolve().parent.parent

_PORT = 65535
_USUAL_PORTS = {"http": ":80", "https": ":443"}


def _is_number(text: str, most: int) -> bool:
    """Whether it is one up to `most`; of more digits than any has, Python would refuse some in words of its own."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(_BYTES)) and int(text) <= most


def _whole(least: int, most: int, unit: str = "") -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (_is_number(text, most) and int(text) >= least):
            raise ValueError(f"a whole number{unit} of {least} to {most}")
        return int(text)

    return parse


_bytes, _seconds = _whole(0, _BYTES, " of bytes"), _whole(1, _TIME, " of seconds")


def _folder(text: str) -> Path:
    return (PROJECT / text).absolute()


def _file(text: str) -> Path:
    path = _folder(text)
    if os.path.isdir(path):
        raise ValueError("a file, not a directory")
    return path


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    is_path = text.startswith("unix:") and text != "unix:"
    if not is_path and not (is_host(host) and _is_number(port, _PORT)):
        raise ValueError("HOST:PORT, or unix:PATH")
    return text


def _location(text: str) -> str:
    if not re.fullmatch(r"/[\w./-]*[\w.-]/", text, re.ASCII):
        raise ValueError("the prefix of an nginx location, with a slash at both ends, as /_blobs/")
    return text


def _split(text: str) -> SplitResult:
    """`text` as a URL, an empty one if it is malformed: Python's error would quote it, perhaps with a password."""
    try:
        return urlsplit(text)
    except ValueError:
        return SplitResult("", "", "", "", "")


def is_host(name: str) -> bool:
    """Whether there can be a host of this name (RFC 3490 §4); to ask the network for another is no OSError."""
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def _leads(url: SplitResult) -> bool:
    """Whether `url` has a possible host, and a possible port if it has one."""
    try:
        return is_host(url.hostname or "") and url.port != 0
    except ValueError:
        return False


def _base_url(text: str) -> str:
    url = _split(text)
    named = url.scheme in ("http", "https") and _leads(url) and _in_header(text)
    if not named or url.username or url.query or url.fragment:
        raise ValueError("http://HOST:PORT/PATH or https://HOST/PATH without a query, as http://127.0.0.1:11434/v1")
    return text.rstrip("/")


def _in_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _header(text: str) -> str:
    if not _in_header(text):
        raise ValueError("printable ASCII without spaces")
    return text


def _secret(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("printable characters without a space at either end, or no header could carry it")
    return text


def _postgresql(text: str) -> str:
    url = _POSTGRESQL.fullmatch(text)
    # Of a password with such characters libpq takes a part for the host, and names it in its errors.
    if not url or not text.isascii() or not all(map(_may_have_port, url[1].split(","))):
        encoded = "with @ / : ? # % of a password percent-encoded, as %40 for @"
        raise ValueError(f"postgresql://USER:PASSWORD@HOST/DATABASE, as libpq reads it, {encoded}")
    return text


def _may_have_port(host: str) -> bool:
    """Whether what follows a host's colon is a port, if anything does; an address of IPv6 is in brackets."""
    port = host.rpartition("]")[2].partition(":")[2]
    return not port or _is_number(port, _PORT)


def _bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text):
        raise ValueError("s3://BUCKET or s3://BUCKET/PREFIX, without ?, #, spaces, // and segments of one or two dots")
    return text


def _choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return parse


def _origins(text: str) -> frozenset[str]:
    return frozenset({"*"} if text.strip() == "*" else map(_origin, text.split(",")))


def _origin(text: str) -> str:
    """`text` as browsers write it in `Origin`: lower case, without path and usual port (RFC 6454 §6.1)."""
    url = _split(text.strip().lower())
    bare = url.scheme and _leads(url) and re.fullmatch(r"([a-z0-9._-]+|\[[0-9a-f:]+\])(:[1-9][0-9]*)?", url.netloc)
    if not bare or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("* or whole origins with commas between, as https://chat.example.com or http://localhost:3000")
    return f"{url.scheme}://{url.netloc.removesuffix(_USUAL_PORTS.get(url.scheme, ' '))}"


def _setting(parse: Callable[[str], Any], default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """Every setting; the variable of `storage_dir` is `LAZU_STORAGE_DIR`, and so on."""

    storage_dir: Path = _setting(_folder, PROJECT / "storage", "database, blobs, everything that must be backed up")
    api_key: str | None = _setting(_secret, None, "a key that exists from the start (owner `default`); any string")
    bind: str = _setting(_address, "127.0.0.1:8000", "where gunicorn listens: `HOST:PORT` or `unix:PATH`")
    workers: int = _setting(
        _whole(1, 1024), max(2, cpus.count()), "gunicorn processes; one a CPU that the server may use, at least 2"
    )
    threads: int = _setting(_whole(2, 4096), 16, "requests a process works on at once, not counting those that wait")
    retention_days: int = _setting(_whole(1, _TIME, " of days"), 30, "lifetime of a file")
    min_free_bytes: int = _setting(_bytes, 2**30, "uploads that would leave less free are refused")
    key_quota_bytes: int = _setting(_bytes, 0, "bytes one key may hold, 0 for no limit; a key may have its own")
    upstream_url: str | None = _setting(
        _base_url, None, "the model server behind `/v1/responses`, e.g. `http://127.0.0.1:11434/v1`"
    )
    upstream_api_key: str | None = _setting(_header, None, "the key that Lazu shows to the model server")
    upstream_files: str = _setting(
        _choice("native", "text", "images"), "native", "what the model server takes: `native`, `text` or `images`"
    )
    kept_bytes: int = _setting(
        _bytes, 2**30,
        "bytes on disk for texts and pages that were read out of files; past it what was not used for longest goes (of "
        "several boxes the oldest, at each purge); on one box 4 KiB more for each blob that was read",
    )  # fmt: skip
    upstream_timeout: int = _setting(_seconds, 600, "the model server is given up after that long without a byte")
    upstream_calls: int = _setting(
        _whole(1, 65536), 1000, "model calls at once on this box (at most 65536), all workers together; past it 503 "
        "`overloaded` that names the setting. Keys with few calls may go above it, all of them together by an eighth"
    )  # fmt: skip
    page: str = _setting(_choice("on", "off"), "on", "`off`: no page at `/`, no `/docs`")
    cors_origins: frozenset[str] = _setting(
        _origins, frozenset(), "origins whose pages may call the API: a comma-separated list, or `*`"
    )
    database_url: str | None = _setting(
        _postgresql, None, "a store on several boxes: its PostgreSQL, e.g. `postgresql://lazu@db.internal/lazu`"
    )
    blobs_url: str | None = _setting(
        _bucket, None, "and its place in an object store, e.g. `s3://lazu-files/prod`; both or none (docs/cluster.md)"
    )
    accel_location: str | None = _setting(
        _location, None, "nginx's internal location for `X-Accel-Redirect`, e.g. `/_blobs/`; whoever asks Lazu past "
        "nginx gets downloads with an empty body then"
    )  # fmt: skip
    body_timeout: int = _setting(_seconds, 30, "an upload is let go after that long without a byte")
    body_min_rate: int = _setting(
        _whole(0, _BYTES, " of bytes a second"),
        16 * 1024,
        "and after that time, if it came slower than this on average",
    )
    log_format: str = _setting(_choice("text", "json"), "text", "how log lines look: `text` or `json`")
    log_timezone: str = _setting(_choice("shanghai", "utc"), "shanghai", "zone of their times: `shanghai` or `utc`")
    audit_log: Path | None = _setting(
        _file, None, "file for a line about each upload, delete, expiry and change of a key; "
        "by default `audit.log` in `LAZU_STORAGE_DIR`"
    )  # fmt: skip


def variable(name: str) -> str:
    """The environment variable of the field `name`."""
    return f"LAZU_{name.upper()}"


class Given(NamedTuple):
    """What was read: the settings, variables of `.env` for the clients of PostgreSQL and S3, whether it is there."""

    settings: Settings
    clients: Mapping[str, str]
    has_file: bool

    def use(self) -> Settings:
        """The settings; puts the variables of the clients, which read the environment themselves, from `.env` there."""
        for name, text in self.clients.items():
            if not os.environ.get(name):
                os.environ[name] = text
        return self.settings


def read(environ: Mapping[str, str] = os.environ) -> Given:
    """What `environ` and `.env` have now.

    Raises `CannotStart` for the first value that can't be used.
    """
    found = envfile.variables(PROJECT / ".env", [variable(entry.name) for entry in fields(Settings)])
    written = found or {}
    values = {**written, **{name: text for name, text in environ.items() if name.startswith(_READ) and text}}
    for name, text in [*written.items(), *values.items()]:
        if _NEXT.search(text):
            raise CannotStart(f"{name} has another variable in its value: give each a line of its own")
    given = {}
    for entry in fields(Settings):
        if value := values.get(variable(entry.name)):
            given[entry.name] = _parse(entry.metadata["parse"], variable(entry.name), value)
    if ("database_url" in given) != ("blobs_url" in given):
        raise CannotStart("LAZU_DATABASE_URL and LAZU_BLOBS_URL belong together: set both, or none for one box")
    clients = {name: text for name, text in written.items() if name.startswith(("AWS_", "PG")) and text}
    return Given(Settings(**given), clients if "database_url" in given else {}, found is not None)


#: What gunicorn's master keeps for its workers, if this is one of them.
_kept: list[Given] = []


def keep(given: Given) -> None:
    """Let this process and its forks use `given`, even if `.env` changes."""
    _kept[:] = [given]


def kept() -> Given:
    """What is kept, or what is there now; raises `CannotStart`."""
    return _kept[0] if _kept else read()


def _parse(parse: Callable[[str], Any], name: str, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as e:
        # A value may be a secret pasted into the wrong line, so it is not repeated.
        raise CannotStart(f"{name} must be {e}") from e
