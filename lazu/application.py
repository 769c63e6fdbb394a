"""The Flask application: joins store, gateway, routes and commands, and does nothing else."""

from flask import Flask

from lazu import cli, config, routes
from lazu.documents import launcher
from lazu.errors import CannotStart
from lazu.gateway.upstream import Upstream
from lazu.store import disk
from lazu.store.opening import Store, open_store


def create_app(settings: config.Settings | None = None) -> Flask:
    """The application on the store that `settings` (by default those that are kept, or the environment's) name.

    Raises `CannotStart` when it can't be served.
    """
    disk.set_umask()
    app = routes.App("lazu", static_folder=None)
    app.extensions["lazu"] = store = _opened(settings)
    if isinstance(store, Store):
        app.extensions["lazu.upstream"] = Upstream(store.settings)
        launcher.share(store.settings.workers)
        routes.init_app(app)
    cli.init_app(app)
    return app


def _opened(settings: config.Settings | None) -> Store | CannotStart:
    """The store; for a command also why there is none: `flask doctor` explains it, every other one fails with it."""
    try:
        return open_store(settings or config.kept().use())
    except CannotStart as e:
        if not cli.running():
            raise
        return e
