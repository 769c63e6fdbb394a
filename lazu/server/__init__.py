"""gunicorn's side: its worker and its log. Beside it only `routes.body` and `routes.chunks` know gunicorn's classes."""
