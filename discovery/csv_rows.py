"""Rows of a file: CSV, TSV, JSON lines."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from discovery.base import BaseDiscovery, FoundItem, name_source
from discovery.local_paths import check_local_path, find_local_file
from discovery.opened_files import is_address, open_address, open_local_file
from discovery.reading_place import Place
from discovery.row_files import RowFile
from discovery.row_reading import RowParams, RowReading
from discovery.web_addresses import check_web_address
from net.field_values import SentHeaders  # noqa: TC001  the model is built with it

if TYPE_CHECKING:
    from discovery.opened_files import OpenedFile

BATCH = 1000
MIB = 1024 * 1024


class CsvRows(BaseDiscovery):
    """
    Find the rows of a file: CSV, TSV or JSON lines, packed with gzip or not.

    It is read batch by batch; a discovery that was interrupted goes on where it was. A file that was read to its
    end and has not changed is not read again, and one that has only grown is read from there on; that what was
    read is still the same is judged by its beginning and by the last row. An address is fetched whole, unless
    its server says that nothing has changed.

    Rows with too few or too many fields, a quote that never closes, a field over a million characters, a line
    over 2 MiB and a line that is no JSON object are left out and counted; what comes after them is not. Text
    that is not in the encoding is read as Windows-1252, or with marks in it if `encoding` was given.

    A path is trusted, like all that jobs.yaml says; yet a relative one must not lead out of the folder where
    Celeriac runs.

    Key: the text in the `key` column; of several, joined by `|`. Order: as in the file.
    Data: `{"column": str, …}`: each field under its column's name; of JSON lines, the object as it is. No
    request for a path, one for an address.
    Example: {strategy: csv_rows, path: inbox/companies.csv, key: cik}

    Source: RFC 4180, rfc-editor.org; JSON lines, jsonlines.org.
    """

    class Params(RowParams):
        """Which file, and how to read it."""

        path: str = Field(
            min_length=1,
            description="The file: a path, relative to where Celeriac runs, or an http or https address.",
        )
        reread: bool = Field(
            False, description="Read the whole file each time, for rows that change in their places."
        )
        headers: SentHeaders = Field(
            {}, description="Sent along when an address is fetched, such as Authorization."
        )
        max_mib: int = Field(2048, ge=1, description="An address is refused above so many MiB.")

        @field_validator("path")
        @classmethod
        def _can_be_opened(cls, path: str) -> str:
            return check_web_address(path) if is_address(path) else check_local_path(path)

    obeys_robots = False
    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read on in the file. Raises `SourceUnavailableError` or `SourceRejectedError`."""
        async with self.looking():
            if is_address(self.params.path):
                await self._read_address(self.params.path)
            else:
                path = find_local_file(self.params.path)
                async with open_local_file(path) as opened:
                    await self._read(opened, str(path))
        return self.kept

    async def _read_address(self, url: str) -> None:
        source = name_source(url)
        place = Place.from_json(self.recall(source).cursor)
        is_known = place and place.is_whole_of(place.file, self.params.digest()) and not self.params.reread
        async with open_address(
            self,
            url,
            headers={name: value.get_secret_value() for name, value in self.params.headers.items()},
            known=place.file if place and is_known else {},
            max_bytes=self.params.max_mib * MIB,
        ) as opened:
            if opened is None:
                self.looks[source].unchanged = True
            else:
                await self._read(opened, source)

    async def _read(self, opened: OpenedFile, source: str) -> None:
        place, again = Place.from_json(self.recall(source).cursor), self.params.reread
        if place and place.is_whole_of(opened.state, self.params.digest()) and not again:
            self.looks[source].unchanged = True
            return
        file = RowFile.open(opened.file, self.params.encoding)
        reading = RowReading(self, self.params, file, source, opened.state)
        if place and not (place.whole and again):
            reading.go_on_from(place)
        items = reading.read_items()
        while batch := list(islice(items, BATCH)):
            await self.hand_over(batch, source=source, cursor=reading.place(whole=False).as_json())
        await self.hand_over((), source=source, cursor=reading.place(whole=True).as_json())
