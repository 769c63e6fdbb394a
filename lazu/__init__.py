"""Lazu: an OpenAI-compatible Files API for the model server you run yourself."""

from flask import Flask

from lazu import cli, config, routes
from lazu.errors import CannotStart
from lazu.store import Store, open_store


def create_app(settings: config.Settings | None = None) -> Flask:
    """The application on the store that `settings` (by default the environment's) name.

    Raises `CannotStart` when it can't be served.
    """
    app = Flask(__name__, static_folder=None)
    app.extensions["lazu"] = _opened(settings)
    routes.init_app(app)
    cli.init_app(app)
    return app


def _opened(settings: config.Settings | None) -> Store | CannotStart:
    """The store; for a command also why there is none: `flask doctor` explains it, every other one fails with it."""
    try:
        return open_store(settings or config.load())
    except CannotStart as e:
        if not cli.running():
            raise
        return e
