"""The same few contents by two keys, from many processes, under a looping purge: no row ever dangles."""

import json
import os
import subprocess
import sys
import time

import pytest

from helpers.server import PROJECT, problems

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("LAZU_TEST_SECONDS", "8"))

CLIENT = """
import http.client, json, random, sys, time
sys.path.insert(0, "tests")
from helpers.wire import BOUNDARY, PURPOSE, form, part
port, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
keys = sys.argv[4:]
draw, mine, count = random.Random(seed), [], 0
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

def ask(method, path, key, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()

deadline = time.monotonic() + seconds
while time.monotonic() < deadline:
    count += 1
    key = draw.choice(keys)
    if not mine:
        # All at the same content for a while, so that its first upload and its last delete meet.
        content = b"content %d" % (int(time.time() * 4) % 6)
        status, body = ask("POST", "/v1/files", key, form(PURPOSE, part("file", content, "a.txt")))
        assert status == 200, body
        mine.append((json.loads(body)["id"], key, content))
    elif draw.random() < 0.2:
        file_id, key, content = draw.choice(mine)
        assert ask("GET", f"/v1/files/{file_id}/content", key) == (200, content), file_id
    else:
        file_id, key, content = mine.pop(draw.randrange(len(mine)))
        assert ask("DELETE", f"/v1/files/{file_id}", key)[0] == 200
print(json.dumps([count, [file_id for file_id, _, _ in mine]]))
"""


def test_uploads_and_deletes_of_the_same_contents_race_the_purge(serve):
    server = serve()
    keys = [server.new_key(), server.new_key()]
    common = [sys.executable, "-c", CLIENT, str(server.port), str(SECONDS)]
    clients = [
        subprocess.Popen([*common, str(i), *keys], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for i in range(6)
    ]
    deadline, purges = time.monotonic() + SECONDS, 0
    while time.monotonic() < deadline:
        server.flask("purge")
        purges += 1
    done = [(client.communicate(), client.returncode) for client in clients]
    assert [code for _, code in done] == [0] * 6, [error for (_, error), _ in done]
    results = [json.loads(out) for (out, _), _ in done]
    assert problems(server.storage) == []
    with server.client(keys[0]) as one, server.client(keys[1]) as two:
        listed = {file.id for each in (one, two) for file in each.files.list()}
    assert listed == {file_id for _, mine in results for file_id in mine}
    sys.stdout.write(f"{sum(count for count, _ in results)} operations, {purges} purges, 0 dangling rows\n")
    assert sum(count for count, _ in results) > 200
