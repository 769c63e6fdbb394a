"""The page users read, done as it says: curl, the OpenAI SDKs for Python and for Node, as they are."""

import asyncio
import json
import subprocess
from pathlib import Path

import openai
import pytest

NODE = Path(__file__).parent / "node"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture
def paper(tmp_path):
    path = tmp_path / "paper.pdf"
    path.write_bytes(PDF)
    return path


def curl(server, key, path, *options, cwd=None):
    command = ["curl", "-sS", f"{server.url}{path}", "-H", f"Authorization: Bearer {key}", *options]
    return subprocess.run(command, cwd=cwd, capture_output=True, check=True, timeout=60).stdout


def test_the_curl_lines_of_the_page(server, paper):
    key = server.new_key()
    file = json.loads(curl(server, key, "/v1/files", "-F", "purpose=user_data", "-F", "file=@./paper.pdf", cwd=paper.parent))
    assert (file["filename"], file["bytes"], file["status"]) == ("paper.pdf", len(PDF), "processed")
    assert json.loads(curl(server, key, "/v1/files"))["data"] == [file]
    assert json.loads(curl(server, key, f"/v1/files/{file['id']}")) == file
    curl(server, key, f"/v1/files/{file['id']}/content", "-o", "downloaded.pdf", cwd=paper.parent)
    assert (paper.parent / "downloaded.pdf").read_bytes() == PDF
    assert json.loads(curl(server, key, f"/v1/files/{file['id']}", "-X", "DELETE"))["deleted"] is True


def test_curl_can_send_from_a_pipe(server):
    key = server.new_key()
    command = f"head -c 3000000 /dev/zero | curl -sS {server.url}/v1/files -H 'Authorization: Bearer {key}' -H 'Transfer-Encoding: chunked' -F purpose=user_data -F 'file=@-;filename=zeros.dat'"
    sent = subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=60)
    assert json.loads(sent.stdout)["bytes"] == 3_000_000


def test_the_python_sdk(client, paper):
    with paper.open("rb") as f:
        file = client.files.create(file=f, purpose="user_data")
    assert (file.filename, file.status, file.object) == ("paper.pdf", "processed", "file")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == PDF
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError) as missing:
        client.files.retrieve(file.id)
    assert missing.value.code == "file_not_found"


def test_the_python_sdk_pages_through_each_file_once(client):
    made = {client.files.create(file=(f"{i}.txt", b"x"), purpose="user_data").id for i in range(7)}
    seen = [file.id for file in client.files.list(limit=2)]
    assert seen == sorted(made, reverse=True)
    assert [file.id for file in client.files.list(limit=2, order="asc")] == sorted(made)


def test_the_python_sdk_can_ask_for_a_shorter_life(client):
    life = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("a.txt", b"x"), purpose="user_data", expires_after=life)
    assert file.expires_at == file.created_at + 3600


def test_the_asynchronous_python_sdk(server, paper):
    async def story():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.new_key(), max_retries=0) as client:
            files = await asyncio.gather(*(client.files.create(file=paper, purpose="user_data") for _ in range(8)))
            listed = [file.id async for file in client.files.list(limit=3)]
            content = await client.files.content(files[0].id)
            return {file.id for file in files}, listed, content.read()

    made, listed, content = asyncio.run(story())
    assert content == PDF
    assert listed == sorted(made, reverse=True)


def test_the_python_sdk_sees_the_documented_errors(client, server):
    with pytest.raises(openai.BadRequestError) as error:
        client.files.create(file=("a.txt", b"x"), purpose="batch")
    assert error.value.code == "purpose_not_supported"
    with pytest.raises(openai.BadRequestError) as error:
        client.files.create(file=("a.txt", b""), purpose="user_data")
    assert error.value.code == "invalid_request"
    with server.client("sk-lazu-wrong") as stranger, pytest.raises(openai.AuthenticationError) as error:
        stranger.files.list()
    assert error.value.code == "invalid_api_key"


def test_the_node_sdk(server, paper):
    command = ["node", "files.mjs", f"{server.url}/v1", server.new_key(), str(paper)]
    ran = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    saw = json.loads(ran.stdout)
    assert saw["content"] == PDF.decode()
    assert (saw["streamed"]["filename"], saw["streamed"]["bytes"]) == ("paper.pdf", len(PDF))
    assert sorted(saw["listed"], reverse=True) == saw["listed"]
    assert set(saw["listed"]) == {saw["streamed"]["id"], saw["buffered"]["id"]}
    assert saw["retrieved"] == saw["buffered"]
    assert saw["deleted"] == {"id": saw["buffered"]["id"], "object": "file", "deleted": True}
    assert saw["missing"] == ["NotFoundError", 404, "file_not_found"]
