"""The commands that let people and programs into the dashboard."""

from __future__ import annotations

import click

from cli.lines import write_line
from cli.options import WholeNumber, json_option

ROLES = ("viewer", "operator", "admin")


@click.command("access")
@json_option
def access_command(*, as_json: bool) -> None:
    r"""
    List the accounts and tokens of the dashboard.

    Without any, the dashboard is for this machine alone, and whoever can open it there may do everything.

    \b
    Examples:
      celeriac access
      celeriac access --json | jq '.tokens[] | select(.revoked_at == null)'
    """
    from cli.reading import reading
    from cli.render import out, say_when, write_json, write_table
    from tracker.access import list_accounts, list_tokens

    with reading() as conn:
        accounts, tokens = list_accounts(conn), list_tokens(conn)
    shown = [{"name": one.name, "role": one.role, "changed_at": one.changed_at} for one in accounts]
    if as_json:
        write_json({"accounts": shown, "tokens": tokens})
        return
    write_table(
        ["account", "role", "changed"],
        [(one.name, one.role, say_when(one.changed_at)) for one in accounts],
        "there is no account",
    )
    if accounts and tokens:
        out.print()
    write_table(
        ["#token", "name", "role", "may", "last used", "ends"],
        [
            (
                one.token_id,
                one.name,
                one.role,
                "all of its role's" if one.scopes is None else ", ".join(sorted(one.scopes)),
                say_when(one.last_used_at) or "never",
                "revoked" if one.revoked_at else say_when(one.expires_at),
            )
            for one in tokens
        ],
        "there is no token",
    )


@click.command("access add")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What they may do."
)
@click.option("--by-proxy", is_flag=True, help="Without a password: a proxy says who it is (--user-header).")
@json_option
def access_add_command(name: str, role: str, *, by_proxy: bool, as_json: bool) -> None:
    r"""
    Add an account, or change it.

    It is called NAME, and has a role and a password, which is asked for or read from standard input. What NAME had
    open is logged out.

    \b
    Examples:
      celeriac access add ada --role operator
      pass show celeriac/ada | celeriac access add ada --role operator
    """
    from cli.acting import who
    from cli.render import write_json
    from pipeline.settings import load_settings
    from runner.access import add_account
    from tracker.connection import open_db

    password = None if by_proxy else _ask_password()
    with open_db(load_settings().db_path) as conn:
        add_account(conn, name, role, password, who())
    if as_json:
        write_json({"name": name, "role": role})
    else:
        write_line(f"{name} may log in as {role}", err=True)


def _ask_password() -> str:
    import sys

    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    return sys.stdin.readline().rstrip("\r\n")


@click.command("access remove")
@click.argument("name")
@json_option
def access_remove_command(name: str, *, as_json: bool) -> None:
    r"""
    Remove an account.

    What NAME had open is logged out.

    \b
    Example:
      celeriac access remove ada
    """
    from cli.acting import who
    from cli.render import write_json
    from pipeline.settings import load_settings
    from tracker.access import remove_account
    from tracker.connection import open_db

    with open_db(load_settings().db_path) as conn:
        remove_account(conn, name, who())
    if as_json:
        write_json({"name": name})
    else:
        write_line(f"{name} may log in no more", err=True)


@click.command("access token")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What it may do.")
@click.option(
    "--may", "scopes", metavar="ACTION", multiple=True, help="Only this action; may be given several times."
)
@click.option("--until", metavar="WHEN", help="When it ends: 30d, or 2027-01-31; without it, never.")
@json_option
def access_token_command(
    name: str, role: str, scopes: tuple[str, ...], until: str | None, *, as_json: bool
) -> None:
    r"""
    Make a token for the API.

    It is called NAME, and printed this once: the tracker keeps only its hash.

    \b
    Examples:
      celeriac access token grafana
      celeriac access token intake --role operator --may enqueue --until 365d
    """
    from cli.acting import who
    from cli.pausing import parse_until
    from cli.render import write_json
    from dashboard.roles import ACTIONS
    from pipeline.settings import load_settings
    from runner.access import make_token
    from tracker.access import has_accounts
    from tracker.clock import to_ms
    from tracker.connection import open_db

    for scope in scopes:
        if scope not in ACTIONS:
            raise click.UsageError(f"there is no action {scope!r}; there are: {', '.join(sorted(ACTIONS))}")
    expires_at = None if until is None else to_ms(parse_until(until))
    with open_db(load_settings().db_path) as conn:
        token_id, token = make_token(conn, name, role, who(), set(scopes) or None, expires_at)
        closes = not has_accounts(conn)
    if as_json:
        write_json({"token_id": token_id, "name": name, "role": role, "token": token})
        return
    write_line(f"token {token_id}, {role}; it is not shown again:", err=True)
    write_line(token)
    if closes:
        words = (
            "in a browser, too, one has to log in now: celeriac access add NAME --role admin makes an account"
        )
        write_line(words, err=True)


@click.command("access revoke")
@click.argument("token_id", type=WholeNumber(1), metavar="TOKEN")
@json_option
def access_revoke_command(token_id: int, *, as_json: bool) -> None:
    r"""
    Let TOKEN, by its number, be of no more use.

    \b
    Example:
      celeriac access revoke 3
    """
    from cli.acting import who
    from cli.render import write_json
    from pipeline.settings import load_settings
    from tracker.access import revoke_token
    from tracker.connection import open_db

    with open_db(load_settings().db_path) as conn:
        revoke_token(conn, token_id, who())
    if as_json:
        write_json({"token_id": token_id})
    else:
        write_line(f"token {token_id} is of no more use", err=True)
