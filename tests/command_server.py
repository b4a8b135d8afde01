"""
The process from which `tests.commands` forks its commands: it has imported what they import, and opened nothing.

`python -m tests.command_server FD`, where FD is a socket. Each request on it becomes a child that ends as a process
would that was started for it. What reads the environment while it is imported is not imported here, or read again.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from types import FrameType

OURS = ("pipeline", "tracker", "net", "discovery", "handlers", "runner", "cli")
"""The packages that are imported whole. Not `tasks`, which makes the Celery app of the environment it finds."""

THEIRS = (
    "celery.bin.celery",
    "celery.app.amqp",
    "celery.app.control",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.events.state",
    "celery.worker.components",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "rich.progress",
    "rich.table",
)
"""Modules of others that commands import only as they run."""

PROGRAM = "cli.main"
STREAMS = 3

told: dict[int, int] = {}
"""By the id of each child, the pipe on which its end is told."""


def import_all() -> None:
    """Import what commands import, and leave out the program itself, which each child runs as its own."""
    for name in OURS:
        package = import_module(name)
        for module in pkgutil.iter_modules(package.__path__, f"{name}."):
            import_module(module.name)
    for name in THEIRS:
        import_module(name)
    del sys.modules[PROGRAM]
    # a thread would be missing in the children, with whatever it has locked
    if threading.active_count() != 1:
        raise RuntimeError(f"an import has started a thread: {threading.enumerate()}")


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork a child for each request. Returns in the children alone: with what is asked of them."""
    signal.signal(signal.SIGCHLD, tell_endings)
    while True:
        size, files, _, _ = socket.recv_fds(connection, 4, STREAMS + 1)
        if not size:
            end_the_forgotten()
            sys.exit()
        with connection.makefile("rb") as stream:
            said = stream.read(int.from_bytes(size))
        *streams, tell = files
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGCHLD}
        )  # until it is known whose end is told where
        if not (pid := os.fork()):
            close_all(connection.detach(), tell, *told.values())
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            close_all(*streams)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            return json.loads(said)
        told[pid] = tell
        os.write(tell, f"{pid}\n".encode())
        close_all(*streams)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def close_all(*files: int) -> None:
    """Close files."""
    for file in files:
        os.close(file)


def tell_endings(_number: int, _frame: FrameType | None) -> None:
    """Tell of each child that has ended with which code."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            with suppress(BrokenPipeError):  # nobody wants to know any more
                os.write(told[pid], f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(told.pop(pid))


def end_the_forgotten() -> None:
    """Kill the children that are left, each with its session: whoever asked for them is gone."""
    for pid in tuple(told):
        for end in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                end(pid, signal.SIGKILL)


def become(request: dict[str, Any]) -> None:
    """Have the arguments, environment, folder and session of a process that was started with them."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[:2] = [request["folder"], *os.environ["PYTHONPATH"].split(os.pathsep)]
    sys.argv = ["-m", *request["arguments"]]
    for option in filter(None, os.environ.get("PYTHONWARNINGS", "").split(",")):
        warnings._setoption(option)
    if request["is_apart"]:
        os.setsid()
    from pipeline.errors import OperatorError
    from pipeline.settings import load_settings

    with suppress(OperatorError):  # the command will say so itself
        import_module("tracker.connection").DB_PATH = load_settings().db_path


def run_to_its_end(program: str) -> NoReturn:
    """Run a program, and end as an interpreter does, but do not take its modules apart: that takes longest."""
    code = 0
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if ended.code is not None else 0
    except BaseException:  # noqa: BLE001 - told as an interpreter tells it
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is to end is told so by the socket
    gc.disable()
    import_all()
    gc.freeze()  # the children need not look through it
    gc.enable()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, interrupted)
    become(asked)
    run_to_its_end(asked["program"])
