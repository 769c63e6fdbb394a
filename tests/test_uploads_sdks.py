"""`/v1/uploads` by the OpenAI SDKs for Python and Node, and by curl as docs/api.md says."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import openai
import pytest

from helpers.server import PROJECT
from helpers.wire import request

NODE = Path(__file__).parent / "node"
MB = 2**20
DATA = os.urandom(5 * MB // 2)
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
CHUNKED = {"mime_type": "video/mp4", "purpose": "user_data", "part_size": MB}


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.dat"
    path.write_bytes(DATA)
    return path


def test_the_python_sdk_sends_a_path_in_parts(client, film):
    upload = client.uploads.upload_file_chunked(file=film, md5=MD5, **CHUNKED)
    assert (upload.status, upload.file.filename, upload.file.bytes) == ("completed", "film.dat", len(DATA))
    assert client.files.content(upload.file.id).read() == DATA
    assert client.files.retrieve(upload.file.id) == upload.file


def test_the_python_sdk_sends_bytes_in_parts(client):
    upload = client.uploads.upload_file_chunked(file=DATA, filename="b.dat", bytes=len(DATA), **CHUNKED)
    assert client.files.content(upload.file.id).read() == DATA


def test_the_asynchronous_python_sdk_sends_in_parts(server, film):
    async def story():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.new_key(), max_retries=0) as client:
            ways = [client.uploads.upload_file_chunked(file=film, md5=MD5, **CHUNKED),
                    client.uploads.upload_file_chunked(file=DATA, filename="b.dat", bytes=len(DATA), **CHUNKED)]  # fmt: skip
            uploads = await asyncio.gather(*ways)
            return [(await client.files.content(upload.file.id)).read() for upload in uploads]

    assert asyncio.run(story()) == [DATA, DATA]


def test_the_python_sdk_sees_what_is_wrong(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.uploads.upload_file_chunked(file=DATA, filename="b.dat", bytes=len(DATA), md5="0" * 32, **CHUNKED)
    assert (error.value.code, error.value.param) == ("invalid_request", "md5")
    with pytest.raises(openai.NotFoundError) as error:
        client.uploads.cancel("upload_abc")
    assert (error.value.code, error.value.param) == ("upload_not_found", "upload_id")


def test_the_node_sdk_sends_parts_at_once_and_backwards(server, film):
    key = server.new_key()
    command = ["node", "uploads.mjs", f"{server.url}/v1", key, str(film)]
    ran = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    saw = json.loads(ran.stdout)
    assert (saw["pending"]["status"], saw["completed"]["status"], saw["cancelled"]["status"]) == ("pending", "completed", "cancelled")
    assert request(server, "GET", f"/v1/files/{saw['completed']['file']['id']}/content", key).body == DATA
    assert saw["refused"] == ["BadRequestError", 400, "invalid_request"]


def test_the_curl_lines_of_the_docs(server, film):
    """The shell's block of docs/api.md, on a smaller file in smaller parts; what it left would be in the next one."""
    [lines] = re.findall(r"```sh\n(auth=.*?)```", (PROJECT / "docs/api.md").read_text(), re.DOTALL)
    script = lines.replace("film.mp4", "film.dat").replace("-b 64M", "-b 1M")
    environ = {**os.environ, "LAZU": server.url, "LAZU_API_KEY": server.new_key()}
    ran = subprocess.run(["bash", "-euc", script], cwd=film.parent, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    file = json.loads(ran.stdout)["file"]
    assert request(server, "GET", f"/v1/files/{file['id']}/content", environ["LAZU_API_KEY"]).body == DATA
    assert list(film.parent.iterdir()) == [film]
