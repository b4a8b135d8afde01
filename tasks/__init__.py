"""
The Celery app and its tasks: Celery rings the doorbell, the tracker keeps the ledger.

`celery -A tasks …` finds `app` here, and `from tasks import discover; discover.delay("demo")` works anywhere.
"""

from tasks import hearing, presence, signals
from tasks.app import app
from tasks.work import discover, run_stage, sweep

__all__ = ["app", "discover", "hearing", "presence", "run_stage", "signals", "sweep"]
