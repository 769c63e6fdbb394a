"""Uploads in parts: what they cost beside one upload of the same bytes, and how fast the parts become a file."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import client, forms, measure, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import HOST, folder
from bench.results import MBS, MIB, Aim, Plan, Result
from bench.rows.upload import by_curl, delete
from bench.servers import KEY

HEAD = f'--{forms.BOUNDARY}\r\nContent-Disposition: form-data; name="data"; filename="part"\r\n\r\n'.encode()
POST = ["-X", "POST", "-H", f"Content-Type: {forms.TYPE}", "-H", f"Authorization: Bearer {KEY}"]


def pieces(data: Path, content: Path, size: int) -> list[tuple[Path, Path]]:
    """The parts of `content`, and of each the form that carries it."""
    made = []
    with content.open("rb") as whole:
        while piece := whole.read(size):
            part, form = data / f"part-{len(made):03}", data / f"form-{len(made):03}"
            part.write_bytes(piece)
            form.write_bytes(HEAD + piece + forms.END)
            made.append((part, form))
    return made


@contextmanager
def by_parts(parts: list[Path], size: int, completing: bool) -> Iterator[Trial]:
    """Lazu, which gets the forms of the parts and completes; only `completing` is measured, or all of it."""
    with servers.lazu() as server:
        uploads = f"http://{HOST}:{server.port}/v1/uploads"

        def trial() -> Sample:
            declared = {"filename": "data.dat", "bytes": size, "purpose": "user_data"}
            begun, before = time.monotonic(), server.cpu()
            upload = client.ask(server.port, "POST", "/v1/uploads", KEY, declared)["id"]
            answers = [client.curl(*POST, "-T", form, f"{uploads}/{upload}/parts")[1] for form in parts]
            if completing:
                begun, before = time.monotonic(), server.cpu()
            ids = {"part_ids": [json.loads(answer)["id"] for answer in answers]}
            done = client.ask(server.port, "POST", f"/v1/uploads/{upload}/complete", KEY, ids)
            sample = Sample(time.monotonic() - begun, server.cpu() - before, size)
            delete(server, (json.dumps(done["file"]).encode(),))
            return sample

        yield trial


@contextmanager
def by_shell(parts: list[Path], size: int) -> Iterator[Trial]:
    """`cat parts`, hashed by sha256sum and written, then synced."""
    whole = folder("whole") / "whole"
    script = f"cat {' '.join(map(str, parts))} | tee {whole} | sha256sum && sync {whole}"

    def trial() -> Sample:
        start = time.monotonic()
        subprocess.run(["sh", "-c", script], check=True, capture_output=True)
        sample = Sample(time.monotonic() - start, 0, size)
        whole.unlink()
        return sample

    yield trial


def run(plan: Plan) -> Result:
    """One client, parts one after the other."""
    size = plan.pick(128, 512) * MIB
    data = folder("data")
    content = client.random_file(data / "content", size)
    made = pieces(data, content, size // 8)
    whole = [*POST, "-T", forms.form_file(data / "form", content)]
    contenders: dict[str, Contender] = {
        "Lazu, one upload": by_curl(servers.lazu(), delete, size, whole),
        "Lazu, 8 parts": by_parts([form for _, form in made], size, completing=False),
        "Lazu, completing 8 parts": by_parts([form for _, form in made], size, completing=True),
        "cat | tee | sha256sum, sync": by_shell([part for part, _ in made], size),
    }
    race = measure.race(plan.keep(contenders), plan.rounds)
    floor = "cat | tee | sha256sum, sync"
    aims = [
        Aim("CPU by parts against one upload", race.ratio("Lazu, 8 parts", "Lazu, one upload", "cost"), 2.5, most=True),
        Aim("speed of completing against the shell", race.ratio("Lazu, completing 8 parts", floor), 0.8),
    ]
    notes = ["Every byte of an upload in parts is written twice, as a part and in the file, and hashed three times."]
    return Result(f"{size // MIB} MiB in 8 parts, one client", race, MBS, "Lazu, one upload", aims, notes)
