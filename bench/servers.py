"""How each server is started. All the Python ones get as many processes and threads as Lazu does."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.procs import BIN, HOST, ROOT, Server, folder, free_port, serve
from lazu import cpus

WORKERS = cpus.count()
THREADS = 16
KEY = "sk-lazu-bench-" + "0" * 32
CONTENDERS = Path(__file__).parent / "contenders"

NGINX = """
daemon off; user root; worker_processes {workers}; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  {site}
}}
"""


def nginx(server: str) -> AbstractContextManager[Server]:
    """nginx with one server block; `{home}` in it stands for the server's folder."""
    return under_nginx(f"server {{ listen {HOST}:{{port}}; client_max_body_size 0; {server} }}")


def shipped(behind: Server) -> AbstractContextManager[Server]:
    """nginx with the site that Lazu ships, in front of a Lazu."""
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    storage = behind.folder / "storage"
    for old, new in {
        "listen 80;": f"listen {HOST}:{{port}};",
        "listen [::]:80;": "",
        "127.0.0.1:8000": f"{HOST}:{behind.port}",
        "/var/lib/lazu/storage/": f"{storage}/",
    }.items():
        assert old in site, old
        site = site.replace(old, new)
    return under_nginx(site)


@contextmanager
def under_nginx(site: str) -> Iterator[Server]:
    """nginx with a site in which `{home}` stands for the server's folder and `{port}` for its port."""
    home, port = folder("nginx"), free_port()
    for name in ("body", "files"):
        (home / name).mkdir()
    site = site.replace("{home}", str(home)).replace("{port}", str(port))
    config = home / "nginx.conf"
    config.write_text(NGINX.format(workers=WORKERS, home=home, site=site))
    path = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        raise RuntimeError("nginx is not installed (Debian: apt install nginx)")
    with serve([path, "-e", home / "error.log", "-p", home, "-c", config], port, home) as started:
        yield started


def dav() -> AbstractContextManager[Server]:
    """nginx taking PUT into its folder `files`: no hash, no fsync, no multipart; as Debian ships it otherwise."""
    return nginx("location / { root {home}/files; dav_methods PUT; create_full_put_path on; }")


def gunicorn(app: str, **env: str) -> AbstractContextManager[Server]:
    """A WSGI application of bench/contenders under gunicorn's gthread."""
    home, port = folder("gunicorn"), free_port()
    argv = [BIN / "gunicorn", "-k", "gthread", "-w", WORKERS, "--threads", THREADS, "-b", f"{HOST}:{port}"]
    argv.append("--no-control-socket")
    return serve([*argv, f"bench.contenders.{app}:app"], port, home, BENCH_FILES=str(home), **env)


def granian(app: str, interface: str) -> AbstractContextManager[Server]:
    home, port = folder("granian"), free_port()
    argv = [BIN / "granian", "--interface", interface, "--host", HOST, "--port", port, "--workers", WORKERS]
    threads = ["--blocking-threads", THREADS] if interface == "wsgi" else []
    return serve([*argv, *threads, f"bench.contenders.{app}:app"], port, home, BENCH_FILES=str(home))


def uvicorn(app: str) -> AbstractContextManager[Server]:
    home, port = folder("uvicorn"), free_port()
    argv = [BIN / "uvicorn", "--host", HOST, "--port", port, "--workers", WORKERS, "--no-access-log"]
    return serve([*argv, f"bench.contenders.{app}:app"], port, home, BENCH_FILES=str(home))


def program(name: str, *words: object, **env: str) -> AbstractContextManager[Server]:
    """A contender that is a server by itself: `python bench/contenders/NAME.py PORT FOLDER WORDS…`."""
    home, port = folder(name), free_port()
    return serve([BIN / "python", CONTENDERS / f"{name}.py", port, home, *words], port, home, **env)


def lazu(app: str = "wsgi:app", **env: str) -> AbstractContextManager[Server]:
    """Lazu as scripts/serve starts it: a command makes the storage folder of this run, then the server takes it up."""
    home, port = folder("lazu"), free_port()
    storage = home / "storage"
    storage.mkdir()
    settings = {"LAZU_STORAGE_DIR": str(storage), "LAZU_API_KEY": KEY, "LAZU_BIND": f"{HOST}:{port}"}
    words = [BIN / "flask", "keys", "list"]
    subprocess.run(words, cwd=ROOT, env={**os.environ, **settings, **env}, check=True, capture_output=True)
    return serve([BIN / "gunicorn", app], port, home, cwd=str(ROOT), **settings, **env)


def bare(app: str = "bare_json", **env: str) -> AbstractContextManager[Server]:
    """The Flask routes of `bench/contenders/APP.py`, under the very gunicorn.conf.py that Lazu runs with."""
    home, port = folder("bare"), free_port()
    argv = [BIN / "gunicorn", "-b", f"{HOST}:{port}", f"bench.contenders.{app}:app"]
    storage = {"LAZU_STORAGE_DIR": str(home), "LAZU_BIND": f"{HOST}:{port}", "LAZU_API_KEY": KEY}
    return serve(argv, port, home, cwd=str(ROOT), **storage, **env)
