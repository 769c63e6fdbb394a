"""A request with file ids becomes the request that the upstream understands: the bytes stand where the ids stood.

The order is the promise: everything is looked up, for the calling key, and added up before a byte is read or sent.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lazu import slots
from lazu.errors import ApiError, FileNotFound, FilesTooLarge
from lazu.gateway import inline, json_body, parts, references, strays
from lazu.gateway.attachment import Attachment, stored
from lazu.gateway.extracts import Extracts
from lazu.gateway.references import Find, Reference
from lazu.gateway.splice import Plain, Spliced
from lazu.sizes import FILES_OF_A_CALL, words
from lazu.store.opening import Store
from lazu.store.tables import Key

#: What stands for the id of a file that came along.
INLINE = "inline"


@dataclass(frozen=True)
class Prepared:
    """A body to send, and what was made of each file it names: its id and a word."""

    body: Spliced | Plain
    done: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Desk:
    """Where requests of `key` are prepared, for an upstream that takes files as `mode` says."""

    store: Store
    key: Key
    mode: str

    def prepare(self, body: bytearray, find: Find) -> Prepared:
        """Return the request in `body`, ready to send; without files to replace it goes on byte for byte.

        Raises `InvalidRequest`, `FileNotFound`, `FilesTooLarge`, `UnsupportedFileType`, `Overloaded`; `param` is the
        JSON path of the id or the data that is to blame.
        """
        tree = json_body.parse(body)
        with json_body.shallow():
            named = [each for each in find(tree) if not each.inline or self._reads(each)]
            if strays.possible(body):
                known = {reference.where for reference in named if not reference.inline}
                strays.refuse(tree, known, references.FORMS[find])
        if not named:
            return Prepared(Plain(body))
        body.clear()  # its share of the budget stays, for the text that takes its place
        files = self._gather(named)
        builder = parts.Builder(Extracts(self.store, self.key), self.mode)
        # From the last to the first: a list that grows keeps the places before.
        pairs = list(zip(named, files, strict=True))
        told = [self._replace(builder, reference, file) for reference, file in reversed(pairs)]
        names = [INLINE if each.inline else each.file_id for each in named]
        done = list(zip(names, reversed(told), strict=True))
        return Prepared(builder.holes.fill(json_body.write(tree), body), done)

    def _reads(self, brought: Reference) -> bool:
        return self.mode != parts.NATIVE and not inline.passes(brought)

    def _gather(self, named: list[Reference]) -> list[Attachment]:
        """Return the files that are `named` or came along, all fit for their places and small enough together."""
        found = self._look_up([reference for reference in named if not reference.inline])
        sizes = (inline.size(each) if each.inline else found[each.file_id].content.size for each in named)
        total = sum(sizes)
        if total > FILES_OF_A_CALL:
            raise FilesTooLarge(_too_large(f"have {total} bytes together"), _top(named[0]))
        files = [self._receive(each) if each.inline else found[each.file_id] for each in named]
        for reference, file in zip(named, files, strict=True):
            parts.check(reference, file, self.mode)
        return files

    def _look_up(self, named: list[Reference]) -> dict[str, Attachment]:
        """Return the stored files that are `named`, by id."""
        found: dict[str, Attachment] = {}
        for reference in named:
            if reference.file_id not in found:
                with _at(reference):
                    file = self.store.files.get(self.key, reference.file_id)
                found[reference.file_id] = stored(self.store.contents, file)
        return found

    def _receive(self, reference: Reference) -> Attachment:
        with _at(reference):
            return inline.received(self.store.contents, reference)

    def _replace(self, builder: parts.Builder, reference: Reference, file: Attachment) -> str:
        slots.step()
        with _at(reference):
            word, made = builder.parts(reference, file)
        if builder.sent > FILES_OF_A_CALL:
            raise FilesTooLarge(_too_large("grow larger than that when they are read"), reference.where)
        holder, key = reference.spot.holder, reference.spot.key
        if isinstance(holder, list) and isinstance(key, int):
            holder[key : key + 1] = made
        else:
            holder[key] = made[0] if len(made) == 1 else made
        return word


@contextmanager
def _at(reference: Reference) -> Iterator[None]:
    """Let errors name the place of `reference`."""
    try:
        yield
    except (FileNotFound, FileNotFoundError) as e:
        raise FileNotFound(reference.file_id[:100], reference.where) from e
    except ApiError as e:
        e.param = reference.where
        raise


def _top(reference: Reference) -> str:
    """Return the parameter of the request that has `reference`, as `input` or `messages`."""
    return re.split(r"[.[]", reference.where)[0]


def _too_large(what: str) -> str:
    return f"The files of one call may have {words(FILES_OF_A_CALL)} together; these {what}."
