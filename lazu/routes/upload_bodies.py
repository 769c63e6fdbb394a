"""The JSON bodies of `/v1/uploads`, checked: every rule of an upload that can be known before its bytes come."""

import re
from typing import Any

from flask import request

from lazu import filenames, filetypes
from lazu.errors import FileTooLarge, InvalidRequest, MissingParameter
from lazu.gateway import json_body
from lazu.routes.body import Body
from lazu.routes.context import upstream
from lazu.routes.expiry import json_lifetime
from lazu.sizes import UPLOAD_BODY, words
from lazu.store.tables import Key
from lazu.store.uploads import MAX_PARTS, Completion, Declared

_MD5 = re.compile(r"[0-9a-f]{32}")


def declared(key: Key) -> Declared:
    """What the body of a creation by `key` says; raises the errors of an upload's row in the error table."""
    body = _received(key)
    purpose = filetypes.purpose(_text(body, "purpose"))
    sent_name = _text(body, "filename")
    if not sent_name:
        raise MissingParameter("filename")  # as `filename=""` of a form
    filename = filenames.clean(sent_name)
    filetypes.check_name(filename, "filename")
    if not isinstance(body.get("mime_type"), str | None):
        raise InvalidRequest("mime_type must be a string.", "mime_type")
    size = json_body.whole(_given(body, "bytes"))
    if size is None or size < 1:
        raise InvalidRequest("bytes must be a whole number of 1 or more: the size of the file.", "bytes")
    if size > purpose.max_bytes:
        raise FileTooLarge(words(purpose.max_bytes), "bytes")
    return Declared(filename, size, body["purpose"], json_lifetime(body))


def completion(key: Key) -> Completion:
    """What the body of a completion by `key` says."""
    body = _received(key)
    part_ids = _given(body, "part_ids")
    if not isinstance(part_ids, list) or not all(isinstance(part_id, str) for part_id in part_ids):
        raise InvalidRequest("part_ids must be a list of the ids of parts, in their order.", "part_ids")
    if len(part_ids) > MAX_PARTS:
        raise InvalidRequest(f"part_ids may have {MAX_PARTS} ids.", "part_ids")
    md5 = body.get("md5")
    if md5 is not None and not (isinstance(md5, str) and _MD5.fullmatch(md5.lower())):
        raise InvalidRequest("md5 must be 32 hexadecimal digits.", "md5")
    return Completion(part_ids, md5 and md5.lower())


def _received(key: Key) -> dict[str, Any]:
    body = json_body.Text(upstream().bodies, key.id, UPLOAD_BODY)
    return json_body.parse(json_body.receive(Body().read, request.content_length, body))


def _given(body: dict[str, Any], name: str) -> Any:
    """The value of `name`, which must be there; null counts as absent."""
    value = body.get(name)
    if value is None:
        raise MissingParameter(name)
    return value


def _text(body: dict[str, Any], name: str) -> str:
    value = _given(body, name)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string.", name)
    return value
