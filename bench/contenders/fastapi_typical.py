"""What a FastAPI tutorial does with an upload: `UploadFile`, read by 1 MiB, hash, write. Not durable."""

import hashlib
import os
import uuid
from pathlib import Path

from fastapi import FastAPI, Form, UploadFile

FILES = Path(os.environ["BENCH_FILES"])

app = FastAPI()


@app.post("/v1/files")
async def upload(file: UploadFile, purpose: str = Form()) -> dict[str, object]:
    name = uuid.uuid4().hex
    digest, size = hashlib.sha256(), 0
    with (FILES / name).open("wb") as out:
        while chunk := await file.read(1 << 20):
            digest.update(chunk)
            size += out.write(chunk)
    return {"id": name, "purpose": purpose, "bytes": size, "sha256": digest.hexdigest()}
