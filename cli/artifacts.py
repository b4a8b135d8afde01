"""`celeriac artifacts`: the files that handlers keep, who refers to each, and the end of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import json_option, limit_option
from runner.saying import say_bytes, say_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.artifacts import Artifact, Use
    from tracker.blobs import BlobStore
    from tracker.collecting import Collected

MOST_USES = 50


@click.command("artifacts")
@json_option
def artifacts_command(*, as_json: bool) -> None:
    r"""
    Tell how many files handlers keep, and how large they are.

    \b
    Examples:
      celeriac artifacts
      celeriac artifacts list --unused
      celeriac artifacts gc --dry-run
    """
    from dataclasses import asdict

    from cli.reading import reading
    from cli.render import write_json
    from tracker.artifacts import count_artifacts

    with reading() as conn:
        count = count_artifacts(conn)
    folder = open_store().folder
    if as_json:
        write_json({"folder": str(folder), **asdict(count)})
        return
    write_line(f"{folder} keeps {say_count(count.files, 'file')}, {say_bytes(count.bytes)}")
    if count.unused_files:
        unused = f"{say_count(count.unused_files, 'file')}, {say_bytes(count.unused_bytes)}"
        write_line(f"nothing refers to {unused}: celeriac artifacts gc")


@click.command("artifacts list")
@click.option("--unused", is_flag=True, help="Only files that nothing refers to.")
@limit_option
@json_option
def artifacts_list_command(limit: int, *, unused: bool, as_json: bool) -> None:
    r"""
    List the files that handlers keep, the newest first.

    \b
    Examples:
      celeriac artifacts list --limit 10
      celeriac artifacts list --unused --json | jq -r '.[].sha256'
    """
    from cli.reading import reading
    from cli.render import write_json
    from tracker.artifacts import list_artifacts

    with reading() as conn:
        listed = list_artifacts(conn, limit, unused=unused)
    if as_json:
        write_json(listed)
    else:
        _show_list(listed, "no kept file is without use" if unused else "no file is kept")


def _show_list(listed: Sequence[Artifact], none: str) -> None:
    from cli.render import say_ago, write_table

    write_table(
        ["SHA-256", "name", "type", "#size", "#uses", "kept"],
        [
            (
                one.sha256,
                one.name,
                one.content_type,
                say_bytes(one.bytes),
                one.uses,
                say_ago(one.first_kept_at),
            )
            for one in listed
        ],
        none,
    )


@click.command("artifacts show")
@click.argument("sha256")
@json_option
def artifacts_show_command(sha256: str, *, as_json: bool) -> None:
    r"""
    Show one file: where it is, and who refers to it.

    SHA256 is the beginning of its hash, as much as tells it from the others.

    \b
    Examples:
      celeriac artifacts show 9f86d081
      less "$(celeriac artifacts show 9f86d081 --json | jq -r .path)"
    """
    from dataclasses import asdict

    from cli.reading import reading
    from cli.render import write_json
    from tracker.artifacts import get_artifact, list_uses

    with reading() as conn:
        artifact = get_artifact(conn, sha256)
        uses = list_uses(conn, artifact.sha256, MOST_USES)
    path = open_store().path(artifact.sha256)
    if as_json:
        write_json({**asdict(artifact), "path": str(path), "is_there": path.exists(), "used_by": uses})
    else:
        write_line(f"{path}{'' if path.exists() else '  (gone)'}")
        _show_artifact(artifact, uses)


def _show_artifact(artifact: Artifact, uses: Sequence[Use]) -> None:
    from cli.render import say_when, write_table

    kind = f", {artifact.content_type}" if artifact.content_type else ""
    write_line(f"{artifact.name}{kind}, {say_bytes(artifact.bytes)}")
    write_line(f"first kept {say_when(artifact.first_kept_at)}; last {say_when(artifact.last_kept_at)}")
    if not uses:
        write_line("nothing refers to it")
        return
    write_table(["used by", "job", "key", "stage"], [(use.kind, use.job, use.key, use.stage) for use in uses])
    if artifact.uses > len(uses):
        write_line(f"and {artifact.uses - len(uses)} more")


@click.command("artifacts gc")
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would be.")
@json_option
def artifacts_gc_command(*, dry_run: bool, as_json: bool) -> None:
    r"""
    Remove the files that nothing refers to.

    Never one that is in use: referred to by a result, by an item's data or by what a handler remembered, touched
    by an attempt that runs, or being written. Workers may go on meanwhile.

    \b
    Examples:
      celeriac artifacts gc --dry-run
      celeriac artifacts gc
    """
    from cli.render import write_json

    collected = _plan() if dry_run else _collect()
    if as_json:
        write_json(collected)
        return
    done = "would remove" if dry_run else "removed"
    strays = f" ({collected.strays} of them unknown to the tracker)" if collected.strays else ""
    write_line(f"{done} {say_count(collected.files, 'file')}{strays}, {say_bytes(collected.bytes)}", err=True)


def _plan() -> Collected:
    from cli.reading import reading
    from tracker.collecting import plan_collection

    with reading() as conn:
        return plan_collection(conn, open_store())


def _collect() -> Collected:
    from cli.acting import get_acting_runtime, who
    from cli.reading import reading
    from runner.operate import collect_artifacts

    with reading():  # where there is no tracker none is made
        pass
    return collect_artifacts(get_acting_runtime(), who())


@click.command("artifacts verify")
@json_option
def artifacts_verify_command(*, as_json: bool) -> None:
    r"""
    Read every kept file through.

    Names those that are gone or changed; exit code 1 if there are any.

    \b
    Examples:
      celeriac artifacts verify
      celeriac artifacts verify --json | jq -r '.[] | select(.fault == "gone") | .sha256'
    """
    from cli.reading import reading
    from cli.render import write_json, write_table
    from tracker.verifying import list_faults

    with reading() as conn:
        faults = list(list_faults(conn, open_store()))
    if as_json:
        write_json(faults)
    elif faults:
        write_table(["SHA-256", "fault", "#uses"], [(one.sha256, one.fault, one.uses) for one in faults])
    else:
        write_line("every file is there, with the content that it had", err=True)
    if faults:
        raise click.exceptions.Exit(exit_codes.FAILED)


def open_store() -> BlobStore:
    """Open the folder of this machine's artifacts; nothing is made."""
    from pipeline.settings import load_settings
    from tracker.blobs import BlobStore

    return BlobStore(load_settings().artifacts_path)
