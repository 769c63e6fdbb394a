"""The Flask application: what `flask COMMAND` finds in the project's root."""

from lazu import create_app

app = create_app()
