"""Lazu: an OpenAI-compatible Files API for the model server you run yourself."""

from flask import Flask

from lazu import cli, config, routes
from lazu.store import open_store


def create_app(settings: config.Settings | None = None) -> Flask:
    """The application on the store that `settings` (by default the environment's) name.

    Raises `CannotStart` when it can't be served.
    """
    app = Flask(__name__, static_folder=None)
    app.extensions["lazu"] = open_store(settings or config.load())
    routes.init_app(app)
    cli.init_app(app)
    return app
