"""A real nginx with the shipped file in front of a real Lazu, as the tests start and stop it."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import openai
import pytest

from helpers.server import PLACES, PROJECT, Server, free_port

SITE = PROJECT / "deploy" / "nginx.conf"

#: What Debian's nginx.conf says around a site, with what docs/deploy.md changes there, on paths of our own.
MAIN = """
user root;
worker_processes 2;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log notice;
worker_rlimit_nofile 65536;
events {{ worker_connections 8192; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log {prefix}/access.log;
    gzip on;
    gzip_types text/plain text/css application/json text/csv text/markdown;
    {temps}
    include {prefix}/site.conf;
}}
"""

TEMPS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def site(server: Server, port: int, tls: Path | None = None, trusted: Path = AUTHORITIES) -> str:
    """The shipped file with this port, this Lazu and this data directory; fails when one is no longer in it."""
    text = SITE.read_text()
    secured = f" ssl http2; ssl_certificate {tls}/tls.pem; ssl_certificate_key {tls}/tls.key" if tls else ""
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{port}{secured};",
        "listen [::]:80;": "",
        "127.0.0.1:8000": f"127.0.0.1:{server.port}",
        "/var/lib/lazu/storage/": f"{server.storage}/",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    return with_objects(text, server.environ["AWS_ENDPOINT_URL"], trusted) if server.storage in PLACES else text


def with_objects(text: str, endpoint: str, trusted: Path) -> str:
    """The file as docs/cluster.md says it: downloads come from the object store of this environment."""
    scheme, _, place = endpoint.partition("://")
    blobs = text[text.index('    location ~ "^/_blobs/') : text.index("    # The bytes went after")]
    snippet = (PROJECT / "deploy" / "nginx-objects.conf").read_text()
    for old, new in {
        "https://lazu_objects/": f"{scheme}://lazu_objects/",
        "proxy_ssl_name store.internal;": "proxy_ssl_name localhost;",  # nginx compares no address with a certificate
        "Host store.internal:8333;": f"Host {place};",
        f"{AUTHORITIES};": f"{trusted};",
    }.items():
        assert old in snippet, old
        snippet = snippet.replace(old, new)
    return f"upstream lazu_objects {{ server {place}; keepalive 32; }}\n" + text.replace(blobs, snippet)


@dataclass
class Edge:
    """nginx in front of `server`; whatever nginx does not have is the server's."""

    server: Server
    prefix: Path
    #: Where `tls.pem` and `tls.key` lie, if it speaks TLS.
    tls: Path | None = None
    #: Who may have signed the object store's certificate.
    authority: Path = AUTHORITIES
    #: What stands in http beside the shipped file.
    beside: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    def __getattr__(self, name):
        return getattr(self.server, name)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def client(self, key: str | None = None, **options) -> openai.OpenAI:
        """As the server's, through nginx."""
        options.setdefault("max_retries", 0)
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.server.new_key(), **options)

    def start(self) -> "Edge":
        if shutil.which("nginx") is None or os.getuid() != 0:
            pytest.skip("needs nginx, and root to run it as in production")
        self.prefix.mkdir()
        temps = "\n".join(f"{name}_temp_path {self.prefix}/{name};" for name in TEMPS)
        (self.prefix / "nginx.conf").write_text(MAIN.format(prefix=self.prefix, temps=temps))
        (self.prefix / "site.conf").write_text(site(self.server, self.port, self.tls, self.authority) + self.beside)
        command = ["nginx", "-p", self.prefix, "-c", self.prefix / "nginx.conf", "-g", "daemon off;"]
        with (self.prefix / "start.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise AssertionError(f"nginx did not start:\n{(self.prefix / 'start.log').read_text()}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None
            assert self.server.leaks(*self.prefix.glob("*.log")) == []
