"""`celeriac dashboard`: the pages, the JSON API and the metrics, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import PathName
from pipeline.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

    from dashboard.house import House, Served
    from tracker.connection import Connection

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command("dashboard")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="The port.")
@click.option(
    "--host-name",
    "host_names",
    metavar="NAME",
    multiple=True,
    help="A name by which browsers reach it, besides localhost; may be given several times.",
)
@click.option("--prefix", default="", metavar="/PATH", help="The path below which a proxy serves it.")
@click.option("--https", is_flag=True, help="A proxy serves it by HTTPS: cookies go over nothing else.")
@click.option(
    "--user-header", metavar="NAME", help="The header in which a proxy names who asks, by an account's name."
)
@click.option(
    "--proxy",
    "proxies",
    metavar="ADDRESS",
    multiple=True,
    help="A proxy that is believed who asks (--user-header), and from where (X-Forwarded-For).",
)
@click.option("--flower-url", metavar="URL", help="Where Flower is, for the link to it.")
@click.option(
    "--first-account",
    type=PathName(),
    metavar="FILE",
    help="A file with NAME:PASSWORD of an admin, who may log in as long as there is no other account.",
)
def dashboard_command(
    host: str,
    port: int,
    host_names: tuple[str, ...],
    prefix: str,
    user_header: str | None,
    proxies: tuple[str, ...],
    flower_url: str | None,
    first_account: Path | None,
    *,
    https: bool,
) -> None:
    r"""
    Serve the dashboard until Ctrl-C.

    Other machines can reach it only once there is an account or a token: see `celeriac access`.

    \b
    Examples:
      celeriac dashboard
      celeriac dashboard --host 0.0.0.0 --host-name celeriac.example.org --https
      celeriac dashboard --host 0.0.0.0 --first-account /run/secrets/dashboard
    """
    _require_extra()
    from dashboard.house import Served

    if user_header and not proxies:
        raise click.UsageError("--user-header needs --proxy: whose word about a name is taken")
    served = Served(
        hosts=Served().hosts | {name.lower() for name in host_names},
        prefix=_clean_prefix(prefix),
        https=https,
        user_header=user_header,
        proxies=frozenset(proxies),
        flower_url=flower_url,
    )
    _serve(served, host, port, first_account)


def _require_extra() -> None:
    from pipeline.errors import MissingExtraError

    try:
        import dashboard.app
        import dashboard.serving  # noqa: F401 - whether it can be imported is the question
    except ModuleNotFoundError as error:
        raise MissingExtraError("the command", "dashboard", "web", error.name or "") from error


def _serve(served: Served, host: str, port: int, first_account: Path | None) -> None:
    from cli.acting import get_acting_runtime
    from cli.collecting import collect_as_usual
    from cli.ports import take_port
    from dashboard.app import make_app
    from dashboard.house import House
    from dashboard.serving import serve
    from pipeline.settings import load_settings
    from tracker.connection import open_db

    settings = load_settings()
    with open_db(settings.db_path) as conn:  # made and migrated, and refused here if it cannot be used
        if first_account is not None:
            _keep_first_account(conn, first_account)
    house = House(settings, served, get_acting_runtime)
    _refuse_open_door(house, host)
    sockets = take_port(host, port)
    write_line(f"the dashboard is at http://{host}:{port}{served.prefix}/", err=True)
    app = make_app(house)
    collect_as_usual()
    serve(app, sockets)


def _keep_first_account(conn: Connection, path: Path) -> None:
    from cli.acting import who
    from runner.first_account import keep_first_account, read_login

    if not keep_first_account(conn, *read_login(path), who()):
        write_line(f"there are accounts already: the one of {path} is not in use", err=True)


def _clean_prefix(prefix: str) -> str:
    if prefix and not prefix.startswith("/"):
        raise click.UsageError(f"--prefix begins with a slash: /{prefix}")
    return prefix.rstrip("/")


def _refuse_open_door(house: House, host: str) -> None:
    from dashboard.house import Served
    from tracker.access import is_open

    served, usual = house.served, Served()
    by_proxy = served.prefix or served.https or served.proxies or served.hosts != usual.hosts
    if (by_proxy or host not in LOOPBACK) and is_open(house.reader):
        how = "through a proxy" if by_proxy else f"on {host}"
        raise OperatorError(
            f"{how} others could reach the dashboard: first add an account (celeriac access add NAME)"
        )
