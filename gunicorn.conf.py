"""gunicorn's settings, found by itself when `gunicorn wsgi:app` is run in the project's root."""

from lazu.config import load

settings = load()

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
access_log_format = '%(t)s %({lazu.request_id}e)s %({lazu.key}e)s %(m)s %({lazu.route}e)s %(s)s %(L)s'
