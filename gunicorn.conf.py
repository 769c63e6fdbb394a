"""gunicorn's settings, found by itself when `gunicorn wsgi:app` is run in the project's root."""

import atexit
import fcntl
import gc
import glob
import os
import resource
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace

from lazu.errors import CannotStart


def _in_memory():
    """Where files are in memory, if anywhere: on a disk, a write to a mapped one that finds no room is a SIGBUS."""
    memory = "/dev/shm"  # noqa: S108  nothing there has a name that another user could know before
    return os.environ.get("RUNTIME_DIRECTORY", memory if os.access(memory, os.W_OK | os.X_OK) else None)


#: How the directories are called in which workers count, and the file in each whose lock says that they still do.
_COUNTERS, _USED = "lazu-counters-", "used.lock"


def _remove_left(where):
    """Remove the counters of this user's servers that were killed; one without the file may just have been made."""
    for folder in glob.glob(os.path.join(glob.escape(where), f"{_COUNTERS}*")):
        with suppress(OSError):
            if os.lstat(folder).st_uid == os.geteuid():  # another user's may be a trap
                with open(os.path.join(folder, _USED)) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)


def _keep_counters():
    """Make the directory in which the workers count for /metrics; it leaves with this process, or with the next start.

    Before anything of Prometheus is imported, because it looks then.
    """
    master = os.getpid()
    others = os.path.dirname(os.environ.get("LAZU_COUNTERS", ""))  # of the one that started this one on USR2
    where = others or os.environ.get("PROMETHEUS_MULTIPROC_DIR") or _in_memory() or tempfile.gettempdir()
    try:
        os.makedirs(where, mode=0o700, exist_ok=True)
        _remove_left(where)
        made = tempfile.mkdtemp(prefix=_COUNTERS, dir=where)
        atexit.register(lambda: os.getpid() == master and shutil.rmtree(made, ignore_errors=True))
        new, used = os.path.join(made, "new"), os.path.join(made, _USED)
        # Locked before it has its name. Never closed: the workers have it too, and may outlive this process.
        fcntl.flock(os.open(new, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_SH)
        os.rename(new, used)
    except OSError as e:
        cure = "PROMETHEUS_MULTIPROC_DIR names a directory that can"
        raise CannotStart(f"{where} can't hold what the processes count: {e.strerror}; {cure}") from e
    os.environ["LAZU_COUNTERS"] = os.environ["PROMETHEUS_MULTIPROC_DIR"] = made


if "lazu.countfiles" not in sys.modules:  # once: HUP reads this again
    gc.disable()  # until `on_starting`: what is loaded stays
    _keep_counters()

# Only now; the application so that workers, whenever they start, have the code of the start.
import lazu.application  # noqa: E402, F401
from lazu import countfiles, ledger  # noqa: E402
from lazu.config import keep, kept  # noqa: E402
from lazu.server import master, trial  # noqa: E402

_given = kept()
settings = _given.settings

bind = settings.bind
workers = settings.workers
# Requests a process works on at once; those that wait for their client do not count (lazu/server/worker.py).
threads = settings.threads
worker_class = "lazu.server.worker.Worker"

# A worker without free file descriptors would lose all its uploads, so connections run out first. Each may need its
# socket, SQLite's two files, an upload or a blob, its shard and one to spare.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = max(_soft, 65536 if _hard == resource.RLIM_INFINITY else min(_hard, 65536))
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard))
# Calls of the model wait on connections of their own, so that they leave those of files alone. And gunicorn takes each
# thread for a connection that it must not keep.
worker_connections = max(threads, min(1000 + settings.upstream_calls + threads, (_files - 64) // 6))
# Where these are few, calls leave some to files.
_calls = min(settings.upstream_calls, workers * (worker_connections - min(250, worker_connections // 2)))

# Workers go by these, also one that takes the place of another when `.env` has changed.
keep(_given._replace(settings=replace(settings, upstream_calls=_calls)))

# The one that the tests hold to its strictness; by itself gunicorn takes another where that is installed.
http_parser = "python"

# Room for an id of 4 KB, so that it gets the answer to an unknown one.
limit_request_line = 8190
# Above a header of nginx's buffers (deploy/nginx.conf), which refuses a longer one itself.
limit_request_field_size = 16380

# No header may say where the application lies (SCRIPT_NAME): that would give every route a second path.
forwarder_headers = ""
# Nor by which scheme the client came: nothing asks for it, and two headers that differ would be 400.
secure_scheme_headers = {}

# Kept-alive connections wait in the poller and cost no thread; nginx keeps its own for 60 s.
keepalive = 75
# On TERM and HUP, how long requests in flight may take to end.
graceful_timeout = 90

# Nobody steers Lazu through a socket in somebody's home directory; signals do.
control_socket_disable = True

accesslog = "-"
logger_class = "lazu.server.accesslog.Logger"


def on_starting(server):
    """Open the store once before a worker is forked: a start that can't succeed ends here, with its one line."""
    gc.freeze()  # else each worker looks through what is loaded at its end, and copies it
    gc.enable()
    master.mend(server)
    tried = trial.Trial(server)
    tried.guard_reloads()
    _tell_of_fewer_calls(server)
    tried.require(_given)
    ledger.share()


def on_reload(server):
    """A reload has read this file again, and nothing keeps it from taking place."""
    _tell_of_fewer_calls(server)


def _tell_of_fewer_calls(server):
    if _calls < settings.upstream_calls and settings.upstream_url:
        told = "LAZU_UPSTREAM_CALLS is %d, not %d: a process may have %d files open; raise it (ulimit -n, LimitNOFILE)"
        server.log.warning(told, _calls, settings.upstream_calls, _files)


def when_ready(server):
    """The sockets are there, systemd's too, and no worker yet."""
    if server.systemd:  # then it has no say; a reload that read another would leave systemd's socket for that
        os.environ["LAZU_BIND"] = settings.bind
    trial.require_other(server, settings)


def pre_fork(server, worker):
    """A worker is about to start."""
    worker.earlier = server.SIG_QUEUE.qsize()
    worker.number = server.free_number()


def post_fork(server, worker):
    """A worker has begun, still with the master's signal handlers: what they take is in its copy of the queue.

    After what the master had there: a stop that waits for a reload ends no worker of that before its time.
    """
    for _ in range(worker.earlier):
        server.SIG_QUEUE.get()
    worker.missed = server.SIG_QUEUE


def child_exit(_server, worker):
    """A worker has ended, however."""
    countfiles.forget(worker.pid)
    ledger.forget(worker.pid)
