"""What `LAZU_DATABASE_URL` says: checked without asking a network, and told to libpq."""

import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lazu.config import is_host
from lazu.errors import CannotStart

#: A server that is away, or whose network is, is given up after that many seconds, or milliseconds.
_CONNECTING: dict[str, Any] = {
    "connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 30, "application_name": "lazu",
    "client_encoding": "UTF8",
}  # fmt: skip
#: No address, and a word that is in no message of libpq but the one about it.
_NOWHERE = "lazu-asks-nobody"


def options(url: str) -> dict[str, Any]:
    """How to connect: of several hosts to the one that is no standby, or that takes writes if the URL says so.

    With one host libpq is not told to ask: pgbouncer would go on calling a server a standby after its promotion.
    `connections` asks the server itself, and connects once more to a `primary` if it is one.
    """
    asked = _asked(url)
    given, several = asked["target_session_attrs"], "," in f"{asked['host']}{asked['hostaddr']}"
    return {**_CONNECTING, "target_session_attrs": given if given == "read-write" else "primary" if several else "any"}


def servers(url: str) -> list[dict[str, str]]:
    """Where each of several servers is; one without a word leaves that to libpq, as what it refuses."""
    asked = _asked(url)
    lists = {name: asked[name].split(",") for name in ("host", "hostaddr", "port")}
    several = {len(each) for each in lists.values()} - {1}
    if len(several) != 1:
        return [{}]
    return [{name: each[n % len(each)] for name, each in lists.items()} for n in range(several.pop())]


def _asked(url: str) -> dict[str, str]:
    """What a URL says; and the environment, too: PGHOST may have several; a password there may be no UTF-8."""
    usual = {each.keyword.decode(): each.val or b"" for each in psycopg.pq.Conninfo.get_defaults()}
    said = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    return {name: value.decode(errors="replace") for name, value in usual.items()} | said


def require(url: str) -> None:
    """Raise `CannotStart`, which quotes no password, unless libpq can make something of it."""
    try:
        conninfo_to_dict(url)
    except (psycopg.ProgrammingError, ValueError) as e:  # they quote the URL, and its password
        unknown = re.match('invalid URI query parameter: "([a-z_]*)', str(e))
        if not unknown:
            raise CannotStart("LAZU_DATABASE_URL must be a URL: postgresql://USER:PASSWORD@HOST/NAME") from None
        # What stands behind a & of a password looks like one.
        name = "" if re.search(r"[?&]\w*(pass|secret)", url) else f": {unknown[1]}"
        raise CannotStart(f"LAZU_DATABASE_URL has a parameter that libpq does not know{name}") from None
    if what := _refused(url):
        raise CannotStart(f"LAZU_DATABASE_URL, or a variable of libpq, has a value for {what} that libpq does not take")


def _refused(url: str) -> str | None:
    """The parameter whose value libpq, or psycopg, refuses before it connects; its message quotes the value.

    It looks at all values first, and then at an address that is none here, so nothing is asked of a network.
    """
    asked = _asked(url)
    if any(host and host[0] != "/" and not is_host(host) for host in asked["host"].split(",")):  # a path is one
        return "host"
    addresses = ",".join(_NOWHERE for _ in (asked["hostaddr"] or asked["host"]).split(","))
    elsewhere = make_conninfo(url, host="", hostaddr=addresses, port=asked["port"])  # nor what a service file has
    tried = psycopg.pq.PGconn.connect_start(elsewhere.encode())
    told = tried.error_message.decode(errors="replace")
    tried.finish()
    named = re.search(rf"\b({'|'.join(asked)})\b", told)
    return named[1] if named and _NOWHERE not in told else None
