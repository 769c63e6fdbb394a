"""The least that Flask does for a request: one route, one constant, JSON of the size of a file object."""

from flask import Flask

app = Flask(__name__)

FILE = {
    "id": "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX",
    "object": "file",
    "bytes": 4096,
    "created_at": 1779587764,
    "expires_at": 1782179764,
    "filename": "paper.pdf",
    "purpose": "user_data",
    "status": "processed",
}


@app.get("/v1/files/<file_id>")
def show(file_id: str) -> dict[str, object]:
    return {**FILE, "id": file_id}
