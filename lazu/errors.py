"""Every error that a client can get: one class per code of the error table.

The table in docs/api.md and the answers in openapi.json are made from these classes: status, code, docstring.
Raised anywhere; `lazu.routes.problems` renders the errors of views, `lazu.gateway.answer` those of relayed calls.
A message is for the person who sent the request: what was wrong, what would be right; never a path, a hash or a key.
"""

from collections.abc import Iterator

#: Characters of `param` that are told: a JSON path may have a name in it that is as long as the request.
MAX_PARAM = 500


class CannotStart(SystemExit):
    """A setting, a disk or a library that Lazu can't run with.

    Uncaught, it ends the process with its one line on standard error and exit code 1: gunicorn, its configuration file
    and every `flask` command alike. The message names what is wrong and says what would be right.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"Lazu can't start: {message.rstrip('.')}.")  # one of another error has its full stop


class StoreError(Exception):
    """The rows could not be read or written. Each engine translates its own errors into one of these, and nobody else.

    What it says is the engine's own text: for the log, not for a client.
    """


class Full(StoreError):
    """There is no room left; nothing was written. `place` is what has none, as a client may hear it."""

    place = "The server's disk"


class Busy(StoreError):
    """What the rows need is away, or others had it for all the time there was; no row was written. A repeat may do."""


class Doubt(StoreError):
    """A commit failed, and nobody knows whether it comes back after a crash."""


class Unanswered(Doubt):
    """The answer to a commit was lost with the database. Nobody knows whether it took place; a repeat finds out."""


class Unfit(StoreError):
    """The database can't be used until its operator has changed something; nothing was written."""


class Failed(StoreError):
    """Anything else; nothing was written."""


class ApiError(Exception):
    """An answer other than 200: `status` and `code` by class; message, `param` and further headers by instance."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str, param: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers or {}

    def as_json(self) -> dict[str, dict[str, str | None]]:
        """The body of the answer, in the shape of the OpenAI API."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        param = self.param[:MAX_PARAM] if self.param else self.param
        return {"error": {"message": self.message, "type": kind, "param": param, "code": self.code}}


class Final(ApiError):
    """A server error that a repeat can't cure: the OpenAI SDKs repeat every 5xx unless told not to."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, param, {"x-should-retry": "false"})


class InvalidRequest(ApiError):
    """A malformed request; `param` names what is wrong where it can.

    A malformed or truncated multipart body, an empty file, two files, a file without a filename, too many parts, a bad
    query or `expires_after`, malformed JSON, a file id where none can stand.
    """

    status, code = 400, "invalid_request"


class MissingParameter(ApiError):
    """No `purpose`, or no `file`; of an upload in parts no `filename`, `bytes`, `data` or `part_ids`."""

    status, code = 400, "missing_required_parameter"

    def __init__(self, param: str) -> None:
        super().__init__(f"Missing required parameter: '{param}'.", param)


class PurposeNotSupported(ApiError):
    """Any purpose but those in the table of purposes."""

    status, code = 400, "purpose_not_supported"


class UnsupportedFileType(ApiError):
    """An executable; a type that the purpose does not take; a file that the model server can't be given."""

    status, code = 400, "unsupported_file_type"


class FilesTooLarge(ApiError):
    """The files of one Responses call are too large together."""

    status, code = 400, "file_too_large"


class InvalidApiKey(ApiError):
    """No key, or a malformed, unknown or revoked one: one answer for all."""

    status, code = 401, "invalid_api_key"

    def __init__(self) -> None:
        message = "Missing or invalid API key. Send it as 'Authorization: Bearer YOUR_LAZU_KEY'."
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class FileNotFound(ApiError):
    """The id is unknown, malformed, expired, deleted or another key's: one answer for all, alike but for the id."""

    status, code = 404, "file_not_found"

    def __init__(self, file_id: str, param: str = "file_id") -> None:
        super().__init__(f"No such File object: {file_id}", param)


class UploadNotFound(ApiError):
    """The id of an upload is unknown, malformed, expired or another key's: one answer for all, alike but for the id."""

    status, code = 404, "upload_not_found"

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"No such Upload object: {upload_id}", "upload_id")


class NotFound(ApiError):
    """No such route."""

    status, code = 404, "not_found"


class MethodNotAllowed(ApiError):
    """The route takes other methods; `Allow` has them."""

    status, code = 405, "method_not_allowed"


class RequestTimeout(ApiError):
    """The body stopped arriving, or comes too slowly (`LAZU_BODY_TIMEOUT`, `LAZU_BODY_MIN_RATE`)."""

    status, code = 408, "request_timeout"


class PreconditionFailed(ApiError):
    """`If-Match` or `If-Unmodified-Since` does not hold."""

    status, code = 412, "precondition_failed"

    def __init__(self) -> None:
        super().__init__("If-Match or If-Unmodified-Since does not hold: the file's ETag or date is another one.")


class FileTooLarge(ApiError):
    """The file exceeds its purpose's limit."""

    status, code = 413, "file_too_large"

    def __init__(self, limit: str, param: str = "file") -> None:
        super().__init__(f"The file is larger than {limit}, the limit of its purpose.", param)


class PartTooLarge(ApiError):
    """A part of an upload exceeds its limit."""

    status, code = 413, "file_too_large"

    def __init__(self, limit: str) -> None:
        super().__init__(f"The part is larger than {limit}; send the file in more parts.", "data")


class BodyTooLarge(ApiError):
    """A JSON body exceeds its limit."""

    status, code = 413, "file_too_large"

    def __init__(self, limit: str, cure: str = "") -> None:
        super().__init__(f"The request body is larger than {limit}, the limit of this URL. {cure}".rstrip())


class UnsupportedEncoding(ApiError):
    """A compressed request body, or a part of a form in base64 or quoted-printable: send it plain."""

    status, code = 415, "unsupported_encoding"

    def __init__(self, what: str = "request body", header: str = "Content-Encoding") -> None:
        message = f"The {what} has a {header}; send it plain, without one."
        super().__init__(message, headers={"Accept-Encoding": "identity"})


class RangeNotSatisfiable(ApiError):
    """The range lies outside the file."""

    status, code = 416, "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        message = f"The range lies outside the file, which has {size} bytes."
        super().__init__(message, headers={"Content-Range": f"bytes */{size}"})


class ClientLeft(ApiError):
    """The client has hung up: nobody reads this answer, the log has its status (the one that nginx uses)."""

    status, code = 499, "client_left"

    def __init__(self) -> None:
        super().__init__("The client has hung up.")


class InternalError(ApiError):
    """A bug or a failing disk; nothing was stored."""

    def __init__(self) -> None:
        super().__init__("Lazu failed; nothing was stored. The server's log has more under this request's id.")


class Overloaded(ApiError):
    """Too much at once, Lazu restarts, or the database or the object store is away or busy; see `Retry-After`."""

    status, code = 503, "overloaded"

    def __init__(self, message: str = "Lazu is busy; repeat the request in a few seconds.") -> None:
        super().__init__(message, headers={"Retry-After": "2"})


class NotReady(Overloaded):
    """`/readyz` finds that uploads can't be stored now."""


class StorageFailed(Final):
    """A disk error stopped the store until `flask fsck` has found it sound; `x-should-retry: false`."""

    def __init__(self) -> None:
        super().__init__("Lazu's disk had an error; nothing is stored until its operator has run 'flask fsck'.")


class StorageMoved(Final):
    """The storage was moved away or replaced while the server runs, or is another's; `x-should-retry: false`."""

    def __init__(
        self, message: str = "Lazu's storage was moved or replaced; nothing is stored until its operator restarts Lazu."
    ) -> None:
        super().__init__(message)


class InsufficientStorage(Final):
    """Disk, database, object store or the key's quota is full; `x-should-retry: false` stops the SDKs' repeats."""

    status, code = 507, "insufficient_storage"


class UpstreamNotConfigured(Final):
    """A request for the model, and no `LAZU_UPSTREAM_URL`; `x-should-retry: false`."""

    status, code = 503, "upstream_not_configured"

    def __init__(self) -> None:
        super().__init__("This server has no model server behind it; its operator sets LAZU_UPSTREAM_URL.")


class UpstreamError(ApiError):
    """The model server can't be reached, broke off, redirects or refuses Lazu's key."""

    status, code = 502, "upstream_error"


class UpstreamTimeout(ApiError):
    """The model server sent nothing for `LAZU_UPSTREAM_TIMEOUT`."""

    status, code = 504, "upstream_timeout"


def table(kind: type[ApiError] = ApiError) -> Iterator[tuple[int, str, str]]:
    """Status, code, meaning of every error below `kind` in this room, in no order; a code may come twice."""
    for each in kind.__subclasses__():
        if each is not Final and each.__module__ == __name__:
            yield each.status, each.code, " ".join((each.__doc__ or "").split())
        yield from table(each)
