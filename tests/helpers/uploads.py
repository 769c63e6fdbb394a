"""`/v1/uploads` by plain HTTP."""

import json

from helpers.wire import BOUNDARY, form, part, request

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def create(server, key, size, **more):
    declared = {"bytes": size, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data", **more}
    return request(server, "POST", "/v1/uploads", key, json.dumps(declared).encode(), JSON)


def created(server, key, size, **more):
    """The upload object of a creation that must succeed."""
    answer = create(server, key, size, **more)
    assert answer.status == 200, answer.body
    return answer.json


def put_part(server, key, upload, data, *more):
    body = form(*more, part("data", data, "part"))
    return request(server, "POST", f"/v1/uploads/{upload['id']}/parts", key, body, FORM)


def added(server, key, upload, data):
    """The id of a part that must be taken."""
    answer = put_part(server, key, upload, data)
    assert answer.status == 200, answer.body
    return answer.json["id"]


def complete(server, key, upload, part_ids, **more):
    body = json.dumps({"part_ids": part_ids, **more}).encode()
    return request(server, "POST", f"/v1/uploads/{upload['id']}/complete", key, body, JSON)


def completed(server, key, upload, part_ids, **more):
    """The upload object of a completion that must succeed."""
    answer = complete(server, key, upload, part_ids, **more)
    assert answer.status == 200, answer.body
    return answer.json


def cancel(server, key, upload):
    return request(server, "POST", f"/v1/uploads/{upload['id']}/cancel", key)
