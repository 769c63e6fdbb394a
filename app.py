"""The Flask application: what `flask COMMAND` finds in the project's root."""

from lazu.application import create_app

app = create_app()
