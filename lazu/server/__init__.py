"""gunicorn's side: master, worker and log. Beside it only `routes.body` and `routes.chunks` know gunicorn's classes."""
