"""gunicorn's settings, found by itself when `gunicorn wsgi:app` is run in the project's root."""

import os
import shutil
import tempfile

from lazu.config import load

settings = load()

# Where the workers count for /metrics: made before anything of Prometheus is imported, kept when HUP reads this again.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="lazu-", dir=os.environ.get("RUNTIME_DIRECTORY"))
    os.environ["LAZU_COUNTERS"] = os.environ["PROMETHEUS_MULTIPROC_DIR"]  # ours: removed at the end

from lazu import metrics  # noqa: E402  see above

bind = settings.bind
workers = settings.workers
threads = settings.threads
worker_class = "lazu.worker.Worker"

# Room for an id of 4 KB, so that it gets Lazu's answer and not gunicorn's.
limit_request_line = 8190

# Kept-alive connections wait in the poller and cost no thread; nginx keeps its own for 60 s.
keepalive = 75
# On TERM and HUP, how long requests in flight may take to end.
graceful_timeout = 90

# Nobody steers Lazu through a socket in somebody's home directory; signals do.
control_socket_disable = True

accesslog = "-"
logger_class = "lazu.accesslog.Logger"


def child_exit(_, worker):
    """A worker has ended, however."""
    metrics.forget(worker.pid)


def on_exit(_):
    """The master ends."""
    if "LAZU_COUNTERS" in os.environ:
        shutil.rmtree(os.environ["LAZU_COUNTERS"], ignore_errors=True)
