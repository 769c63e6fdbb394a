"""What can go wrong with a call of the object store: told from its answer, or from what came in the place of one."""

from urllib.parse import urlsplit

from botocore import exceptions

from lazu.errors import Busy, Full
from lazu.store.shortage import Ailing

#: Nobody gave credentials.
UNKNOWN = (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError)
#: What a store says of a key that it does not know any more; of a HEAD only the status.
_STALE = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403"}
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientCapacity"}


class NoSuchObject(FileNotFoundError):
    """The store says that it has no object of this name. Nothing else may look so: files are deleted for it."""


class ObjectStoreFailed(Busy):
    """The object store could not be reached, refused, or did not answer in time: nobody knows what it did."""


class ObjectStoreAiling(ObjectStoreFailed, Ailing):
    """The object store answers by 500, or breaks off. Some stores without room do so at each PUT."""


class ObjectRefused(ObjectStoreFailed):
    """The store takes a call for wrong, and would each time: it answered it by 400, or its like."""


class ObjectOfOtherSize(ObjectStoreFailed):
    """An answer is about other bytes than were asked for: the object is not as it was stored, or the answer lies."""


class ObjectStoreFull(Full):
    """The object store has no room."""

    place = "The object store"


def status(error: exceptions.ClientError) -> int:
    """The HTTP status of the answer; 200 for an error that came after it, 0 without an answer."""
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def is_stale(error: exceptions.ClientError) -> bool:
    """Whether the store knows the key no more."""
    return _code(error) in _STALE


def refused(error: exceptions.ClientError, name: str | None) -> Exception:
    """What to raise for an answer that is an error. Any proxy says 404, and only a store NoSuchKey."""
    found, code = status(error), _code(error)
    if found == 404 and name is not None and code == "NoSuchKey":
        return NoSuchObject(name)
    text = f"{error.operation_name}: {found} {code}"
    if found == 507 or code in _FULL:
        return ObjectStoreFull(text)
    if found == 416:  # no range is asked for that is not within the object as it was stored
        return ObjectOfOtherSize(text)
    refused = 400 <= found < 500 and found not in (408, 429)
    return (ObjectRefused if refused else ObjectStoreAiling if found == 500 else ObjectStoreFailed)(text)


class Unknown(exceptions.CredentialRetrievalError):
    """Nobody gave credentials, in words of Lazu's own."""


def in_our_words(error: exceptions.CredentialRetrievalError) -> Unknown:
    """Name the provider alone: its own message may have a secret, and so may its address."""
    said = "it gave none, and what it said is not shown, because it may have a secret"
    return error if isinstance(error, Unknown) else Unknown(provider=error.kwargs["provider"], error_msg=said)


def shown(error: Exception) -> Exception | None:
    """Give `error` as the cause of another one, whose trace the log may have; None if it may have a secret."""
    return None if _told(error) else error


def _quotes_header(error: Exception) -> bool:
    origin = error.kwargs.get("error") if isinstance(error, exceptions.HTTPClientError) else None
    return isinstance(origin, ValueError) and "header" in str(origin)


def unanswered(error: Exception) -> ObjectStoreFailed:
    """What to raise for a call without an answer."""
    return ObjectStoreFailed(_told(error) or str(error) or type(error).__name__)


def _told(error: Exception) -> str:
    """What to say in the place of an error that quotes what may be a secret; "" for any other."""
    if isinstance(error, exceptions.ProxyConnectionError):
        return "the proxy that HTTP_PROXY or HTTPS_PROXY names could not be reached, or refused"
    if _quotes_header(error):
        return "a credential has a character that no header can carry, as a line end"
    if isinstance(error, exceptions.CredentialRetrievalError) and not isinstance(error, Unknown):
        return str(in_our_words(error))
    if "@" in urlsplit(getattr(error, "kwargs", {}).get("endpoint_url", "")).netloc:  # never the store's own
        return f"{type(error).__name__} of what gives credentials, whose address has a password"
    return ""
