"""
The objects of a store, in the order of their names, from any name on.

Source: the documentation of fsspec and s3fs; for S3, ListObjectsV2, docs.aws.amazon.com.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discovery.instants import tell_instant
from discovery.local_paths import tell_os_error
from discovery.shapes import read_list, read_object, read_text, read_whole
from pipeline.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from fsspec import AbstractFileSystem

    from discovery.memory import Look

PAGE = 1000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """
    An object below the root of a listing; `name` is its path from there, with forward slashes.

    `mark` is another when the object has changed: its etag, else its time and size.
    """

    name: str
    size: int
    modified_at: str | None
    mark: str


async def list_bucket(
    store: Any, bucket: str, prefix: str, after: str | None, look: Look, *, note: Callable[[str], None]
) -> AsyncIterator[StoredObject]:
    """
    List the objects of an S3 bucket whose keys begin with a prefix, those behind `after` alone.

    Each request is counted in `look`. A listing that leads back to a page that was there before ends, and that is told
    to `note`. Raises what s3fs raises.
    """
    place, seen = {} if after is None else {"StartAfter": prefix + after}, set[int]()
    while True:
        asked = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE, **place}
        look.requests += 1
        page = read_object(await asyncio.to_thread(store.call_s3, "list_objects_v2", **asked))
        for each in _read_page(page, prefix):
            yield each
        token = read_text(page.get("NextContinuationToken"))
        if not page.get("IsTruncated") or not token:
            return
        if hash(token) in seen:
            note(f"the listing of {bucket} leads back to a page that was there before; stopped there")
            return
        seen.add(hash(token))
        place = {"ContinuationToken": token}


async def list_folders(
    store: AbstractFileSystem,
    root: str,
    after: str | None,
    *,
    enters: Callable[[str], bool],
    note: Callable[[str], None],
) -> AsyncIterator[StoredObject]:
    """
    List the objects below a folder, those behind `after` alone.

    `enters` says which folders to enter. A folder below the root that cannot be read is told to `note`. On this
    machine, links to folders are not entered, and links out of the root are left out. Raises
    `SourceUnavailableError` when the root cannot be read.
    """
    waiting: list[tuple[str, StoredObject | None]] = [("", None)]
    while waiting:
        name, found = waiting.pop()
        if found is not None:
            yield found
            continue
        try:
            inside = await asyncio.to_thread(store.ls, f"{root}/{name}".rstrip("/") or "/", detail=True)
        except OSError as error:
            told = f"cannot read the folder {root}/{name}".rstrip("/") + f": {tell_os_error(error)}"
            if not name:
                raise SourceUnavailableError(told) from error
            note(told)
            continue
        entries = dict(_read_entries(inside, root))
        wanted = [
            (each, of)
            for each, of in entries.items()
            if _lies_behind(each, after) and (of is not None or enters(each.rstrip("/")))
        ]
        waiting += sorted(wanted, key=lambda entry: entry[0], reverse=True)


def _read_entries(infos: list[dict[str, Any]], root: str) -> Iterator[tuple[str, StoredObject | None]]:
    for info in infos:
        name = info["name"].removeprefix(root).lstrip("/")
        if info["type"] == "directory":
            yield f"{name}/", None  # sorted as the objects in it are
        elif info["type"] == "file" or (info.get("islink") and _stays_inside(info["name"], root)):
            yield name, _describe(info, name)


def _lies_behind(name: str, after: str | None) -> bool:
    return after is None or name > after or (name.endswith("/") and after.startswith(name))


def _stays_inside(path: str, root: str) -> bool:
    try:
        found = Path(path).resolve(strict=True)
        return found.is_file() and found.is_relative_to(Path(root).resolve())
    except (OSError, RuntimeError):  # gone, or a link to nowhere
        return False


def _describe(info: dict[str, Any], name: str) -> StoredObject:
    size = read_whole(info.get("size")) or 0
    modified_at = tell_instant(info.get("mtime") or info.get("created"))
    return StoredObject(name, size, modified_at, f"{modified_at} {size}")


def _read_page(page: dict[str, Any], prefix: str) -> Iterator[StoredObject]:
    for each in map(read_object, read_list(page.get("Contents"))):
        key, size = each.get("Key", ""), read_whole(each.get("Size")) or 0
        if key and not key.endswith("/"):  # that is a folder's mark, not an object
            modified_at = tell_instant(each.get("LastModified"))
            mark = read_text(each.get("ETag")).strip('"') or f"{modified_at} {size}"
            yield StoredObject(key.removeprefix(prefix), size, modified_at, mark)
