"""gunicorn's side: its worker and its log. The only wing that knows gunicorn's classes."""
