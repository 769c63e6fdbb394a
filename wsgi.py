"""What gunicorn runs: `gunicorn wsgi:app`."""

from app import app

__all__ = ["app"]
