"""Objects in a store: of S3, or files of this machine."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import fsspec
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.globs import matches_any
from discovery.object_listing import list_bucket, list_folders
from discovery.web_addresses import check_web_address
from net.shown import show_url
from pipeline.errors import MissingExtraError
from pipeline.fields import check_path

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Self

    from discovery.object_listing import StoredObject

BATCH = 1000
SCHEMES = ("file", "memory", "s3")
_ENDPOINT = r"^https?://[^/@]+(/[^@]*)?$"


class ObjectStore(BaseDiscovery):
    """
    Find the objects below a place in a store: an S3 service, Amazon's or another's, or a folder of this machine.

    All are listed each time, a thousand in one transaction; a listing that was interrupted goes on where it was.
    The version is the etag, else the time and size: a job's `on_change:` says what a change means.

    Without `access_key`, S3's credentials are found as Amazon's own tools do: in AWS_ACCESS_KEY_ID and its
    like, in ~/.aws, by the role of the machine. A service in a private network must be in CELERIAC_ALLOW_HOSTS.
    In a folder, links to folders are not entered, and links to files outside of it are left out.

    Key: the object's URL, which is its `uri`. Order: by name.
    Data: `{"uri": str, "name": str, "size": int, "modified_at": str | None}`: the name is what follows the
    place's own; bytes; an ISO instant in UTC. One request for every 1,000 objects of S3.
    Example: {strategy: object_store, url: "s3://my-bucket/inbox", include: ["*.pdf"], exclude: [drafts]}

    Source: fsspec and s3fs, filesystem-spec.readthedocs.io; S3, docs.aws.amazon.com.
    """

    class Params(StrategyParams):
        """Which place. Patterns are matched as `discovery.globs.matches_any` says."""

        url: str = Field(
            description="The place: s3://bucket/folder, file:///folder, or memory://folder within one process."
        )
        include: list[str] = Field(["**"], description="Patterns of the objects to find; all, when left out.")
        exclude: list[str] = Field(
            [], description="Patterns of objects to leave out and of folders with all in them."
        )
        max_bytes: int | None = Field(None, ge=0, description="Leave out objects that are larger.")
        endpoint_url: Annotated[str, Field(pattern=_ENDPOINT), AfterValidator(check_web_address)] | None = (
            Field(None, description="Where another S3 service than Amazon's answers.")
        )
        region: str | None = Field(None, description="The region of S3; left out, as the environment says.")
        access_key: SecretStr | None = Field(None, description="The access key for S3, with `secret_key`.")
        secret_key: SecretStr | None = Field(None, description="Its secret.")
        anonymous: bool = Field(False, description="Ask S3 without credentials, for public buckets.")

        @field_validator("url")
        @classmethod
        def _can_be_listed(cls, url: str) -> str:
            scheme, place = _split_url(url)
            if scheme not in SCHEMES or "::" in url:
                raise ValueError(f"no store that can be listed; it begins with one of {', '.join(SCHEMES)}")
            if scheme == "file" and not place.startswith("/"):
                raise ValueError("a folder of this machine is given by its whole path: file:///folder")
            if scheme == "file":
                check_path(place)
            if scheme == "s3" and not place.strip("/"):
                raise ValueError("which bucket? s3://bucket/folder")
            if scheme == "s3" and importlib.util.find_spec("s3fs") is None:
                raise MissingExtraError("strategy", "object_store", "s3", "s3fs")
            return url

        @model_validator(mode="after")
        def _fit_together(self) -> Self:
            if (self.access_key is None) != (self.secret_key is None):
                raise ValueError("access_key and secret_key belong together")
            if self.anonymous and self.access_key is not None:
                raise ValueError("anonymous leaves no use for an access_key")
            return self

    params: Params

    async def discover(self) -> list[FoundItem]:
        """List the objects. Raises `SourceUnavailableError` or `SourceRejectedError`."""
        async with self.looking():
            source = self._name_source()
            recalled = self.recall(source).cursor
            after = recalled if isinstance(recalled, str) else None
            items: list[FoundItem] = []
            async with aclosing(self._list(source, after)) as found:
                async for each in found:
                    if self._wants(each):
                        items.append(self._make_item(each))
                    if len(items) == BATCH:
                        await self.hand_over(items, source=source, cursor=each.name)
                        items = []
            await self.hand_over(items, source=source, cursor=None)
        return self.kept

    async def _list(self, source: str, after: str | None) -> AsyncGenerator[StoredObject, None]:
        scheme, place = _split_url(self.params.url)
        if scheme != "s3":
            store = fsspec.filesystem(scheme)
            root = store._strip_protocol(self.params.url).rstrip("/")  # noqa: SLF001 - fsspec's own name for it
            async for each in list_folders(
                store, root, after, enters=self._enters, note=self.problems.append
            ):
                yield each
            return
        from discovery.object_access import open_s3, telling  # noqa: PLC0415  slow, and only for S3

        await self._check_endpoint()
        bucket, _, prefix = place.strip("/").partition("/")
        with ExitStack() as stack:
            stack.enter_context(telling(source))
            store = stack.enter_context(open_s3(self.access.guard, self._make_options()))
            below, look = f"{prefix}/" if prefix else "", self.looks[source]
            async for each in list_bucket(store, bucket, below, after, look, note=self.problems.append):
                yield each

    async def _check_endpoint(self) -> None:
        # also where the library looks nothing up, since the host is an address
        if self.params.endpoint_url is not None:
            parts = urlsplit(self.params.endpoint_url)
            await self.access.guard.resolve(parts.hostname or "", parts.port or 443)

    def _make_options(self) -> dict[str, Any]:
        params = self.params
        return {
            "endpoint_url": params.endpoint_url,
            "anon": params.anonymous,
            "key": params.access_key.get_secret_value() if params.access_key else None,
            "secret": params.secret_key.get_secret_value() if params.secret_key else None,
            "client_kwargs": {"region_name": params.region} if params.region else {},
        }

    def _wants(self, found: StoredObject) -> bool:
        if self.params.max_bytes is not None and found.size > self.params.max_bytes:
            return False
        folders = found.name.split("/")[:-1]
        inside = all(self._enters("/".join(folders[: depth + 1])) for depth in range(len(folders)))
        return inside and self._enters(found.name) and matches_any(found.name, self.params.include)

    def _enters(self, name: str) -> bool:
        return not matches_any(name, self.params.exclude)

    def _make_item(self, found: StoredObject) -> FoundItem:
        uri = f"{self.params.url.rstrip('/')}/{found.name}"
        data = {"uri": uri, "name": found.name, "size": found.size, "modified_at": found.modified_at}
        return FoundItem(uri, data, version=found.mark)

    def _name_source(self) -> str:
        # The same bucket of another service is another source: how far it was listed is not ours.
        where = show_url(self.params.url)
        return (
            where if self.params.endpoint_url is None else f"{where} at {show_url(self.params.endpoint_url)}"
        )


def _split_url(url: str) -> tuple[str, str]:
    """
    Split a URL into its scheme and what follows; a name of an object may hold any character.

    >>> _split_url("s3://bucket/a#b?c")
    ('s3', 'bucket/a#b?c')
    """
    scheme, _, place = url.partition("://")
    return scheme, place
