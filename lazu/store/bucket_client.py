"""botocore's client as `bucket` needs it: it hashes no body twice, and sends a file without copying it."""

import base64
import os
import re
import threading
from contextlib import suppress
from io import SEEK_CUR, SEEK_END, SEEK_SET, BytesIO, RawIOBase
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import auth, awsrequest, exceptions
from botocore.config import Config
from botocore.utils import get_environ_proxies
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from lazu import clock
from lazu.store import bucket_errors

#: Seconds for a connection.
_CONNECT_SECONDS = 5
#: Seconds in which the store has to take some more of a body: urllib3 would give a new connection those of connecting.
_TAKING_SECONDS = 20
#: Seconds for the body of an error, which says no more than why.
_ERROR_SECONDS = 1
#: Bytes handed to the socket at once under TLS: 16 KiB, http.client's own, take 2.4 times the CPU.
_BLOCK = 256 * 1024
#: Connections that are kept: a thread of the server uses one, and the purge some.
_CONNECTIONS = 64

#: Stale credentials are looked for again by one thread in so many seconds: a client is dear.
RENEW_SECONDS = 10

_SIGNATURE = "lazu-s3v4"
_PROVIDER = "an AWS_ variable or ~/.aws"

_URL = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?(/[\w.~%/-]*)?", re.ASCII | re.IGNORECASE)
_ENDPOINT = "AWS_ENDPOINT_URL must be http://HOST:PORT or https://HOST:PORT, without a user, a query or white space"

# Else the errors show it, password and all.
_PROXY = re.compile(r"(https?://)?([^\s/?#@]*@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?", re.ASCII)
_NO_PROXY = "HTTP_PROXY and HTTPS_PROXY must be http://HOST:PORT or https://HOST:PORT, what else a password has as %XX"


class _Signer(auth.S3SigV4Auth):
    """Signs the SHA-256 that the caller knows already, instead of reading the body once more."""

    def payload(self, request: Any) -> str:
        known = request.headers.get("x-amz-checksum-sha256")
        signed: str = base64.b64decode(known).hex() if known else super().payload(request)
        return signed


class Seekable(RawIOBase):
    """Bytes that are read from where `_at` says."""

    _at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is: botocore goes back before it repeats."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at


class FileBody(Seekable):
    """The first bytes of a file, read without moving its offset, in blocks as large as they should be sent in."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self._size = fd, size

    def fileno(self) -> int:
        """Of the file."""
        return self._fd

    def read(self, size: int = -1) -> bytes:
        """The next bytes: about a quarter of a megabyte, whatever http.client asks for."""
        wanted = self._size - self._at if size is None or size < 0 else max(size, _BLOCK)
        chunk = os.pread(self._fd, min(wanted, self._size - self._at), self._at)
        self._at += len(chunk)
        return chunk

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a place; gives it."""
        self._at = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence] + offset
        return self._at


class _Hurried:
    """A connection that waits briefly for the body of an error; without it the status alone decides."""

    sock: Any
    close: Any

    def getresponse(self) -> Any:
        """urllib3's answer; that of an error has as much of its body as came."""
        sock = self.sock
        answer = super().getresponse()  # type: ignore[misc]  # of the class beside it
        if answer.status < 300:  # what botocore takes for no error
            return answer
        pieces, until = [b"-"], clock.monotonic() + _ERROR_SECONDS
        with suppress(HTTPError, OSError):
            while pieces[-1] and (left := until - clock.monotonic()) > 0:
                sock.settimeout(left)
                pieces.append(answer.read1(_BLOCK))
        if pieces[-1]:  # it did not end
            self.close()
        answer.close()
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "transfer-encoding"}
        about = {"original_response": answer._original_response, "enforce_content_length": False}  # noqa: SLF001 - frees it
        body = BytesIO(b"".join(pieces[1:]))
        return HTTPResponse(body, headers, answer.status, preload_content=False, **about)


class _Encrypted(_Hurried, awsrequest.AWSHTTPSConnection):
    """A connection with TLS, which waits while the store takes a body."""

    def send(self, data: Any) -> None:
        """Send a head, or a body: urllib3 gives both the seconds for connecting."""
        if self.sock:
            self.sock.settimeout(_TAKING_SECONDS)
        super().send(data)


class _Connection(_Hurried, awsrequest.AWSHTTPConnection):
    """A connection without TLS: a file goes from the page cache to the socket, and not through this process."""

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, *args: Any, **more: Any) -> None:
        """Send a request, as urllib3 does, but a `FileBody` by sendfile(2) after the head."""
        if not isinstance(body, FileBody):
            super().request(method, url, body, headers, *args, **more)
            return
        start = body.tell()
        left = body.seek(0, SEEK_END) - start
        body.seek(start)  # where sendfile(2) can't, Python sends from there
        super().request(method, url, None, headers, *args, **more)
        if left and not self._response_received:  # botocore's: the store refused before the body
            self.sock.settimeout(_TAKING_SECONDS)
            self.sock.sendfile(body, start, left)


# Each pool of connections asks its class for one (urllib3's documentation, "Customizing").
awsrequest.AWSHTTPConnectionPool.ConnectionCls = _Connection
awsrequest.AWSHTTPSConnectionPool.ConnectionCls = _Encrypted


def make_clients(*silences: float) -> list[Any]:
    """Clients of S3 with the same credentials; each takes a call for failed after so many seconds without an answer.

    The second one costs little beside the first, 0.3 MB. Raises `BotoCoreError`, ValueError.
    """
    auth.AUTH_TYPE_MAPS[_SIGNATURE] = _Signer
    auth.AUTH_TYPE_MAPS[f"{_SIGNATURE}-query"] = auth.S3SigV4QueryAuth
    session = botocore.session.get_session()
    try:
        session.get_credentials()
    except exceptions.CredentialRetrievalError as e:
        raise bucket_errors.in_our_words(e) from None
    except exceptions.BotoCoreError:
        raise
    except Exception as e:  # noqa: BLE001 - a program or a file that is away, or says something else
        told = str(e) if isinstance(e, OSError) else f"they can't be read ({type(e).__name__})"  # the others may quote
        raise bucket_errors.Unknown(provider=_PROVIDER, error_msg=told) from None
    # botocore alone of all clients does not know AWS_REGION; a server of one's own takes any.
    region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or "us-east-1"
    try:
        clients = [session.create_client("s3", region_name=region, config=_config(silence)) for silence in silences]
    except ValueError:  # it quotes the value
        raise ValueError(f"{_ENDPOINT}; or AWS_REGION, or another AWS_ variable, is none") from None
    endpoint = clients[0].meta.endpoint_url
    if not _URL.fullmatch(endpoint):  # each error would show it
        raise ValueError(_ENDPOINT)
    proxy = get_environ_proxies(endpoint).get(urlsplit(endpoint).scheme)
    if proxy and not _PROXY.fullmatch(proxy):
        raise ValueError(_NO_PROXY)
    return clients


def _config(silence: float) -> Config:
    return Config(
        signature_version=_SIGNATURE,
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=silence,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard"},
        # A CRC beside the SHA-256 would be one hash more, and older servers refuse it.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


class Clients:
    """Two clients for all threads: a patient one and a brisk one, which wait `silences` seconds for an answer."""

    def __init__(self, *silences: float) -> None:
        self._silences = silences
        self._made: list[Any] = []
        self._stale, self._claiming, self._again = True, threading.Lock(), 0.0
        self._pid, self._why = os.getpid(), bucket_errors.Unknown(provider=_PROVIDER, error_msg="nobody has any")

    def get(self, brisk: bool = False) -> Any:
        """The patient client, or the `brisk` one; raises `BotoCoreError`, ValueError."""
        if self._pid != os.getpid():
            self._cross()
        if self._stale and self._claims():
            # Meanwhile, and if that fails, the others go on with the old ones.
            self._make()
        if not self._made:
            raise bucket_errors.Unknown(**self._why.kwargs)
        return self._made[brisk]

    def _make(self) -> None:
        try:
            self._made, self._stale = make_clients(*self._silences), False
        except bucket_errors.Unknown as e:
            self._why = e
            raise

    def _cross(self) -> None:
        """Leave the connections to the process that made them (`gunicorn --preload`): each took the other's answers."""
        with self._claiming:
            if self._pid != os.getpid():
                self._made, self._stale = [], True
                with suppress(exceptions.BotoCoreError):
                    self._make()
                self._pid = os.getpid()

    def renew(self) -> None:
        """Have new ones soon: the credentials of these are refused, or there were none, and no client looks again."""
        self._stale = True

    def _claims(self) -> bool:
        """Whether this thread is the one to make new clients now."""
        with self._claiming:
            now, due = clock.monotonic(), self._again
            if now >= due:
                self._again = now + RENEW_SECONDS
            return now >= due
