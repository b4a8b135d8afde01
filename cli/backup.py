"""`celeriac backup` and `celeriac restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import PathName, WholeNumber, json_option
from runner.saying import say_bytes, say_count, say_counted

if TYPE_CHECKING:
    from pathlib import Path

    from runner.backup import BackedUp
    from runner.backup_check import Verified
    from runner.restore import Restored


@click.command("backup")
@click.argument("target", type=PathName())
@click.option(
    "--keep",
    type=WholeNumber(1),
    metavar="N",
    help="Then remove this tracker's older backups in the folder, all but the newest N.",
)
@json_option
def backup_command(target: Path, keep: int | None, *, as_json: bool) -> None:
    r"""
    Back up the tracker and its files, while all runs.

    TARGET is a folder, in which a new one is made for this backup; or a file, if its name ends in .db, .sqlite or
    .sqlite3, with its artifacts beside it. The copy is of one moment, and is checked before it gets its name.

    \b
    Examples:
      celeriac backup /mnt/backups --keep 7
      celeriac backup before-the-upgrade.db
    """
    from cli.acting import who
    from cli.long_work import telling_how_far
    from cli.reading import reading
    from cli.render import write_json
    from pipeline.settings import load_settings
    from runner.backup import back_up

    with reading():  # where there is no tracker none is made
        pass
    with telling_how_far() as tell:
        done = back_up(load_settings(), target, who(), keep=keep, tell=tell)
    if as_json:
        write_json(done)
    else:
        _say_backed_up(done)
    if done.missing:
        raise click.exceptions.Exit(exit_codes.FAILED)


def _say_backed_up(done: BackedUp) -> None:
    from pipeline.durations import format_duration

    write_line(
        f"{done.path}: {say_count(done.items, 'item')}, {say_count(done.results, 'result')}, "
        f"{say_bytes(done.bytes)}, checked; {say_count(done.artifacts, 'file')} kept beside, "
        f"{done.copied} of them copied; {format_duration(done.seconds)}",
        err=True,
    )
    for path in done.removed:
        write_line(f"removed the older {path}", err=True)
    if done.missing:
        write_line(
            f"gone or changed, though results refer to it: {say_count(len(done.missing), 'file')}; "
            "celeriac artifacts verify names each",
            err=True,
        )


@click.command("restore")
@click.argument("backup", type=PathName(exists=True))
@click.option(
    "--verify", "only_verify", is_flag=True, help="Restore nothing; read all of it, and say what it holds."
)
@click.option(
    "--to",
    type=PathName(file_okay=False),
    metavar="DIR",
    help="The data folder to restore into; without it, the one in the settings.",
)
@click.option("--yes", is_flag=True, help="Put aside the tracker that is there, and the backup in its place.")
@json_option
def restore_command(backup: Path, to: Path | None, *, only_verify: bool, yes: bool, as_json: bool) -> None:
    r"""
    Put a backup in the tracker's place, or verify it.

    BACKUP is what `celeriac backup` made, or a folder of such: then it is the newest. What workers had claimed, and
    the messages that were on their way, are taken back, so that the next `celeriac up` goes on from there. The workers
    must not run; the tracker that was there is kept aside.

    \b
    Examples:
      celeriac restore /mnt/backups --verify
      celeriac restore /mnt/backups/celeriac-20261125T031500Z --yes
      celeriac restore before-the-upgrade.db --to /srv/celeriac-data
    """
    from cli.long_work import telling_how_far
    from cli.render import write_json
    from runner.backup_check import verify

    if only_verify:
        with telling_how_far() as tell:
            verified = verify(backup, tell)
        if as_json:
            write_json(verified)
        else:
            _show_verified(verified)
        if verified.faults:
            raise click.exceptions.Exit(exit_codes.FAILED)
        return
    restored = _restore(backup, to, yes=yes)
    if as_json:
        write_json(restored)
    else:
        _say_restored(restored)


def _restore(backup: Path, to: Path | None, *, yes: bool) -> Restored:
    from cli.acting import who
    from cli.long_work import telling_how_far
    from pipeline.settings import load_settings
    from runner.restore import restore

    settings = load_settings()
    database = settings.db_path if to is None else to / "tracker.db"
    artifacts = settings.artifacts_path if to is None else to / "artifacts"
    with telling_how_far() as tell:
        return restore(backup, database, artifacts, who(), replace=yes, tell=tell)


def _show_verified(verified: Verified) -> None:
    from cli.render import say_when, write_table

    made = f", made {say_when(verified.at)}" if verified.at else ""
    write_line(f"{verified.path}{made}: schema {verified.schema}, {say_bytes(verified.bytes)}")
    write_line(
        f"{say_count(verified.items, 'item')}, {say_count(verified.results, 'result')}; "
        f"{say_count(verified.artifacts, 'file')}, {say_bytes(verified.artifact_bytes)}"
    )
    if verified.jobs:
        write_table(
            [
                "job",
                "#items",
                "#done",
                "#failed",
                "#claims taken back",
                "#messages sent again",
                "#discoveries",
            ],
            [
                (one.job, one.items, one.done, one.failed, one.claims, one.messages, one.discoveries)
                for one in verified.jobs
            ],
        )
    for fault in verified.faults:
        write_line(f"fault: {fault}", err=True)
    if not verified.faults:
        write_line("it is whole", err=True)


def _say_restored(restored: Restored) -> None:
    taken = restored.taken_back
    write_line(f"{restored.database} is {restored.path} again", err=True)
    write_line(
        f"taken back: {say_count(taken.claims, 'claim')}, {say_count(taken.messages, 'message')}, "
        f"{say_counted(taken.discoveries, '[discovery|discoveries]')}; celeriac up goes on from there",
        err=True,
    )
    if restored.aside:
        write_line(
            f"the tracker that was there is {restored.aside}; remove it when you need it no more", err=True
        )
