"""An upload on its way in: a form becomes staged bytes and what the client says of them, checked as it arrives.

Fields come in any order (the OpenAI SDK for Node sends the file before the purpose), so each rule is applied as soon
as what it needs is there, and all of them before anything is kept.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from flask import request

from lazu import filenames, filetypes, metrics
from lazu.errors import FileTooLarge, InvalidRequest, MissingParameter, PartTooLarge
from lazu.filetypes import Purpose
from lazu.routes.body import Body
from lazu.routes.context import store
from lazu.routes.expiry import form_lifetime, is_expiry
from lazu.routes.multipart import DATA, FILE, Part, Read, at_least, parts
from lazu.sizes import words
from lazu.store.arriving import Arrival
from lazu.store.contents import Contents
from lazu.store.files import NewFile
from lazu.store.staged import Staged
from lazu.store.tables import File, Key, UploadPart
from lazu.store.uploads import MAX_PART_BYTES


@dataclass
class _Form:
    contents: Contents
    expected: int
    fields: dict[str, str] = field(default_factory=dict)
    staged: Staged | None = None
    filename: str = ""

    def purpose(self) -> Purpose:
        if "purpose" not in self.fields:
            raise MissingParameter("purpose")
        return filetypes.purpose(self.fields["purpose"])

    def take_field(self, part: Part) -> None:
        if part.name in self.fields:
            raise InvalidRequest(f"The form field '{part.name}' may be given once only.", part.name)
        self.fields[part.name] = part.text()
        if part.name == "purpose":
            self.purpose()

    def take_file(self, part: Part, stack: ExitStack) -> None:
        if part.filename is None:
            raise InvalidRequest("The 'file' part has no filename; with curl write -F file=@./paper.pdf.", FILE)
        if self.staged is not None:
            raise InvalidRequest("The form has two 'file' parts; upload one file a request.", FILE)
        limit = self.purpose().max_bytes if "purpose" in self.fields else filetypes.MAX_BYTES
        self.filename = filenames.clean(part.filename)
        filetypes.check_name(self.filename)
        _require_within(limit, self.expected)
        self.staged = stack.enter_context(self.contents.stage(limit, self.expected))
        for chunk in part.chunks:
            self.staged.write(chunk)

    def upload(self) -> NewFile:
        """The whole form, checked."""
        purpose = self.purpose()
        lifetime = form_lifetime(self.fields)
        if self.staged is None:
            raise MissingParameter(FILE)
        if self.staged.size == 0:
            raise InvalidRequest("The file is empty; send one of at least one byte.", FILE)
        if self.staged.size > purpose.max_bytes:
            raise FileTooLarge(words(purpose.max_bytes))
        content_type = filetypes.identify(self.staged.peek, self.staged.size, self.filename, purpose)
        return NewFile(self.staged, self.filename, content_type, self.fields["purpose"], lifetime)


def take(key: Key) -> File:
    """Make the form in the body of the current request a file of `key`.

    Raises every error of the upload's row in the error table, as early as it is known.
    """
    _require_within(filetypes.MAX_BYTES, request.content_length)
    expected = min(request.content_length or 0, filetypes.MAX_BYTES)
    store().contents.require(expected)
    with store().files.arriving(key, at_least(request.content_length)) as arrival:
        form = parts(_counted(Body().read, arrival), request.headers.get("Content-Type", ""))
        with receive(form, store().contents, expected) as upload:
            return store().files.create(key, upload, arrival)


def _require_within(limit: int, length: int | None) -> None:
    """Raise `FileTooLarge` if the file in a body of `length` bytes is larger than `limit`, whatever else is there."""
    if at_least(length) > limit:
        raise FileTooLarge(words(limit))


def _counted(read: Read, arrival: Arrival) -> Read:
    """`read`, which lets `arrival` grow by what it gives."""
    total = 0

    def counted(size: int) -> bytes:
        nonlocal total
        chunk = read(size)
        total += len(chunk)
        arrival.grow(at_least(total))
        return chunk

    return counted


@contextmanager
def receive(form: Iterator[Part], contents: Contents, expected: int = 0) -> Iterator[NewFile]:
    """The upload that the parts of `form` make; its bytes are gone at the end of the `with` unless they were published.

    `expected` is the length of the body, 0 if it is unknown: as much room is taken when the file begins.
    """
    filled = _Form(contents, expected)
    with ExitStack() as stack:
        stack.enter_context(metrics.uploading())
        for part in form:
            if part.name == FILE:
                filled.take_file(part, stack)
            elif part.name == "purpose" or is_expiry(part.name):
                filled.take_field(part)
        yield filled.upload()


def take_part(key: Key, upload_id: str) -> UploadPart:
    """Make the form in the body of the current request a part of a pending upload of `key`.

    Raises every error of the part's row in the error table, as early as it is known.
    """
    uploads, contents = store().uploads, store().contents
    upload = uploads.pending(key, upload_id)
    if at_least(request.content_length) > MAX_PART_BYTES:
        raise PartTooLarge(words(MAX_PART_BYTES))
    expected = min(request.content_length or 0, MAX_PART_BYTES)
    contents.require(expected)
    with uploads.arriving(key, at_least(request.content_length)) as arrival:
        form = parts(_counted(Body().read, arrival), request.headers.get("Content-Type", ""), DATA)
        with receive_data(form, contents, expected) as staged:
            return uploads.add_part(key, upload, staged)


@contextmanager
def receive_data(form: Iterator[Part], contents: Contents, expected: int) -> Iterator[Staged]:
    """The staged bytes that the one `data` part of `form` has; gone at the end of the `with` unless published."""
    with ExitStack() as stack:
        stack.enter_context(metrics.uploading())
        staged = None
        for part in form:
            if part.name == DATA and staged is not None:
                raise InvalidRequest("The form has two 'data' parts; send one a request.", DATA)
            if part.name == DATA:
                staged = stack.enter_context(contents.stage(MAX_PART_BYTES, expected))
                _fill(staged, part)
        if staged is None:
            raise MissingParameter(DATA)
        if staged.size == 0:
            raise InvalidRequest("The part is empty; send one of at least one byte.", DATA)
        yield staged


def _fill(staged: Staged, part: Part) -> None:
    try:
        for chunk in part.chunks:
            staged.write(chunk)
    except FileTooLarge as e:
        raise PartTooLarge(words(MAX_PART_BYTES)) from e
