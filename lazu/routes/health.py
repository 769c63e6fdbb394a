"""Is it alive, is it ready, how is it doing: for the machines that watch. No key, no names, no ids."""

from flask import Blueprint, Response

from lazu import metrics
from lazu.routes.context import store, upstream
from lazu.routes.shared import Shared
from lazu.store.opening import require_ready
from lazu.upkeep import stats

#: One scrape at a time, for all who wait for one: anybody may ask, and on PostgreSQL it counts every file.
_text: Shared[bytes] = Shared()

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
    """Prometheus' text format, all workers summed."""
    return Response(_text.get(_render), content_type=metrics.CONTENT_TYPE)


def _render() -> bytes:
    return metrics.render(stats.figures(store()) + upstream().figures())
