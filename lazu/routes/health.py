"""Is it alive, is it ready, how is it doing: for the machines that watch. No key, no names, no ids."""

import logging
from functools import partial

from flask import Blueprint, Response

from lazu import metrics
from lazu.errors import StorageMoved, StoreError
from lazu.metrics import Figure
from lazu.routes.context import store, upstream
from lazu.routes.shared import Brief, Shared
from lazu.store.opening import Store, require_ready
from lazu.upkeep import stats

log = logging.getLogger(__name__)

#: One scrape at a time, for all who wait for one: anybody may ask, and on PostgreSQL it counts every file.
_text: Shared[bytes] = Shared()
_told: Brief[list[Figure]] = Brief()

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> dict[str, str]:
    """Whether this process answers; asks nothing of disk or database."""
    return {"status": "ok"}


@bp.get("/readyz")
def ready() -> dict[str, str]:
    """Whether uploads can be stored now."""
    require_ready(store())
    return {"status": "ready"}


@bp.get("/metrics")
def show_metrics() -> Response:
    """Prometheus' text format, all workers summed; what the database does not tell in time is missing."""
    return Response(_text.get(_render), content_type=metrics.CONTENT_TYPE)


def _render() -> bytes:
    try:
        told = _told.get(partial(_of_store, store()))
    except (StoreError, StorageMoved, TimeoutError) as e:
        log.warning("/metrics is without the figures of the store: the database: %s", e)
        told = []
    up = Figure("lazu_database_up", "1 if the database answers; else the figures of the store are missing.", bool(told))
    return metrics.render([up, *told, *stats.of_box(store()), *upstream().figures()])


def _of_store(asked: Store) -> list[Figure]:
    asked.engine.connect()
    try:
        return stats.figures(asked)
    finally:
        asked.engine.disconnect()
