from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from model_server import ModelServer

from handlers.base import HandlerContext
from net.client import PoliteClient
from runner.scratch_desk import ScratchDesk


@pytest.fixture
def make_context(tmp_path):
    """Make a context as the runner would, with a client that may reach this machine."""

    memory: dict[str, Any] = {}
    seen: dict[str, int] = {}

    def make(**given: Any) -> HandlerContext:
        usual: dict[str, Any] = {
            "job": "demo",
            "key": "k1",
            "data": {},
            "results": {},
            "attempt": 1,
            "log": structlog.get_logger(),
            "http": PoliteClient(contact=None, allow_hosts=["127.0.0.1"], total_seconds=10.0),
            "deadline": datetime.now(UTC) + timedelta(minutes=10),
            "record_cost": lambda _: None,
            "desk": ScratchDesk(
                tmp_path / "artifacts", given.get("key", "k1"), memory=memory, fingerprints=seen
            ),
        }
        return HandlerContext(**usual | given)

    return make


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """Write a user's module where it can be imported, and give its name."""

    def write(source: str, name: str = "users_own_module") -> str:
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        # So that it is forgotten again afterwards, whoever imports it.
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
        return name

    return write


@pytest.fixture
def endpoint():
    """Serve models on this machine."""
    with ModelServer() as server:
        yield server
