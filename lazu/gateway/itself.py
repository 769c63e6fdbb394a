"""Is the model server of the settings Lazu itself? One call would become a thousand, each asking the next."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from lazu.config import Settings

#: Where all addresses of the machine are meant.
_ANY = {"0.0.0.0", "::"}  # noqa: S104  compared, not bound


def look(settings: Settings, listening: Iterable[str], *, by_systemd: bool) -> tuple[str, str] | None:
    """What is wrong and its cure, if LAZU_UPSTREAM_URL is one of the addresses where Lazu is `listening`.

    Those are as in LAZU_BIND, or as in ListenStream= if systemd holds them; at one without a port no URL ends.
    """
    url = urlsplit(settings.upstream_url or "")
    port = url.port or (443 if url.scheme == "https" else 80)
    pairs = [address.rpartition(":")[::2] for address in listening]
    ours = {found for host, ours in pairs if ours == str(port) for found in _found(host.strip("[]") or "::", port)}
    if not url.hostname or not ours or not any(ours & {here, *_ANY} for here in _here(url.hostname, port)):
        return None
    cure = "ListenStream= of lazu.socket and the `server` lines of nginx" if by_systemd else "LAZU_BIND=127.0.0.1:8001"
    return "LAZU_UPSTREAM_URL is where Lazu itself listens", f"correct it, or have Lazu listen elsewhere: {cure}"


def _found(host: str, port: int) -> Iterator[str]:
    """The addresses of `host`, none if its name is unknown or malformed."""
    with suppress(OSError, UnicodeError):
        yield from (str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))


def _here(host: str, port: int) -> Iterator[str]:
    """Those that are this machine's: what is sent there would come from there. Nothing is sent."""
    for found in _found(host, port):
        family = socket.AF_INET6 if ":" in found else socket.AF_INET
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((found, port))
            if probe.getpeername()[0] == probe.getsockname()[0]:
                yield probe.getpeername()[0]
