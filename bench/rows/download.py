"""Downloads of a large file: straight from gunicorn, and through nginx by X-Accel-Redirect."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import client, forms, measure, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import HOST, Server, folder
from bench.results import MBS, MIB, Aim, Plan, Result
from bench.servers import KEY

ACCEL = """
location / {{ proxy_pass http://{host}:{port}; proxy_set_header Host $http_host; }}
location /_blobs/ {{ internal; alias {blobs}/; }}
"""


@contextmanager
def alone(form: Path, size: int) -> Iterator[Trial]:
    with servers.lazu() as lazu:
        path = upload(lazu, form)
        yield lambda: fetch(lazu.port, path, size, [lazu])


@contextmanager
def accelerated(form: Path, size: int) -> Iterator[Trial]:
    with servers.lazu(LAZU_ACCEL_LOCATION="/_blobs/") as lazu:
        path = upload(lazu, form)
        block = ACCEL.format(host=HOST, port=lazu.port, blobs=lazu.folder / "storage" / "blobs")
        with servers.nginx(block) as nginx:
            yield lambda: fetch(nginx.port, path, size, [lazu, nginx])


@contextmanager
def static(content: Path, size: int) -> Iterator[Trial]:
    with servers.nginx(f"location / {{ root {content.parent}; }}") as nginx:
        yield lambda: fetch(nginx.port, f"/{content.name}", size, [nginx])


def upload(lazu: Server, form: Path) -> str:
    words = ["-X", "POST", "-T", form, "-H", f"Content-Type: {forms.TYPE}", "-H", f"Authorization: Bearer {KEY}"]
    _, answer = client.curl(*words, f"http://{HOST}:{lazu.port}/v1/files")
    return f"/v1/files/{json.loads(answer)['id']}/content"


def fetch(port: int, path: str, size: int, behind: list[Server]) -> Sample:
    before = sum(server.cpu() for server in behind)
    seconds, _ = client.curl("-o", "/dev/null", "-H", f"Authorization: Bearer {KEY}", f"http://{HOST}:{port}{path}")
    return Sample(seconds, sum(server.cpu() for server in behind) - before, size)


def run(plan: Plan) -> Result:
    """One client, the file in the page cache."""
    size, data = plan.pick(256, 512) * MIB, folder("data")
    content = client.random_file(data / "content", size)
    form = forms.form_file(data / "form", content)
    contenders: dict[str, Contender] = {
        "Lazu, X-Accel": accelerated(form, size),
        "Lazu, gunicorn alone": alone(form, size),
        "nginx static": static(content, size),
    }
    race = measure.race(plan.keep(contenders), plan.rounds + 2)
    aims = [
        Aim("X-Accel: speed against nginx static", race.ratio("Lazu, X-Accel", "nginx static"), 0.9),
        Aim("gunicorn alone: speed against nginx static", race.ratio("Lazu, gunicorn alone", "nginx static"), 0.9),
        Aim("gunicorn alone: CPU s/GB", race.median("Lazu, gunicorn alone", "cost") * 1e9, 0.3, most=True),
    ]
    return Result(f"{size // MIB} MiB download, one client", race, MBS, "nginx static", aims)
