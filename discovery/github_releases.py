"""Releases of projects on GitHub."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, hash_url
from discovery.gather import gather_bounded, keep_answers
from discovery.github import explain_refusal, has_next_page, read_repository
from discovery.instants import tell_iso
from discovery.shapes import read_object, read_objects, read_text, read_web_address, read_whole
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from net.client import Fetched

REPOSITORIES_AT_ONCE = 4
MAX_PAGE = 100
REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}


class GithubReleases(BaseDiscovery):
    """
    Find the releases of projects on GitHub, or their tags.

    A repository that fails does not stop the others, but once GitHub says that too much was asked, no more is
    asked. Without a token that is after 60 requests an hour; with one, after 5,000, and asking where nothing
    is new costs nothing. A release has changed when its title, text, state or files did.

    Key: `OWNER/NAME/releases/ID`, or `OWNER/NAME/tags/TAG`, in lower case but for the tag. Order: repository by
    repository, latest first.
    Data: `{"url": str, "repository": str, "kind": str, "tag": str, "title": str, "text": str, "author": str,
    "prerelease": bool, "draft": bool, "published_at": str | None, "commit": str, "assets": list[dict]}`: `kind`
    is `release` or `tag`, `text` is Markdown, the instant is ISO in UTC (a tag has none), `commit` the tag's
    commit, or the branch or commit that a release was made from; each of `assets` has `name`, `url`, `size` and
    `type`. One request for each hundred releases or fewer, and one more for the tags.
    Example: {strategy: github_releases, repositories: [python/cpython, "https://github.com/celery/celery"]}

    Source: docs.github.com/en/rest/releases/releases.
    """

    class Params(StrategyParams):
        """Whose releases, and which."""

        repositories: list[Annotated[str, AfterValidator(read_repository)]] = Field(
            min_length=1, description="Repositories, each as `owner/name` or by its address."
        )
        prereleases: bool = Field(default=True, description="Whether to take prereleases too.")
        drafts: bool = Field(
            default=False, description="Whether to take drafts too, if the token shows them."
        )
        tags: bool = Field(default=False, description="Whether to take the tags of one without any release.")
        limit: int = Field(30, ge=1, le=1000, description="Look at this many of each repository, the latest.")
        token: SecretStr | None = Field(
            None, description="A token of GitHub's; from GITHUB_TOKEN, if it is set."
        )
        base_url: WebAddress = Field("https://api.github.com", description="Where the API is.")

    from_environment: ClassVar[Mapping[str, str]] = {"token": "GITHUB_TOKEN:-"}
    obeys_robots = False
    params: Params
    _exhausted: SourceUnavailableError | None = None

    async def fetch_items(self) -> list[FoundItem]:
        """Read the repositories, four at a time. Raises `SourceUnavailableError` when all of them fail."""
        self._exhausted = None
        repositories = list(dict.fromkeys(self.params.repositories))
        answers = await gather_bounded(self._read_repository, repositories, REPOSITORIES_AT_ONCE)
        names = [self._name(repository) for repository in repositories]
        found = keep_answers(answers, "repository", self, names)
        return [item for items in found for item in items]

    async def _read_repository(self, repository: str) -> list[FoundItem]:
        releases = await self._list_all(repository, "releases")
        if releases is None:
            return []
        if not releases and self.params.tags:
            tags = await self._list_all(repository, "tags") or []
            return [_make_tag(tag, repository, self._name(repository)) for tag in tags]
        wanted = [release for release in releases if self._wants(release)]
        return [_make_release(release, repository, self._name(repository)) for release in wanted]

    def _wants(self, release: dict[str, Any]) -> bool:
        return (self.params.prereleases or release.get("prerelease") is not True) and (
            self.params.drafts or release.get("draft") is not True
        )

    async def _list_all(self, repository: str, what: str) -> list[dict[str, Any]] | None:
        """List what a repository has, at most `limit`; None when it is as it was."""
        found: list[dict[str, Any]] = []
        size = min(MAX_PAGE, self.params.limit)
        for number in range(1, -(-self.params.limit // size) + 1):
            page = await self._list_page(repository, what, f"per_page={size}&page={number}")
            if page is None:
                return None
            rows, more = page
            new = [row for row in rows if row not in found]
            found.extend(new)
            if not more or not new:  # the last one, or one that repeats
                break
        return found[: self.params.limit]

    async def _list_page(
        self, repository: str, what: str, query: str
    ) -> tuple[list[dict[str, Any]], bool] | None:
        if self._exhausted:
            raise self._exhausted
        fetched = await self._ask(repository, f"{what}?{query}")
        if fetched is None:
            return None
        if fetched.status in REFUSALS:
            refusal = explain_refusal(fetched)
            self._exhausted = refusal if isinstance(refusal, SourceUnavailableError) else None
            raise refusal
        rows = fetched.json()
        if not isinstance(rows, list):
            raise SourceRejectedError(f"GitHub gave no list of {repository} but {rows!r:.80}")
        return read_objects(rows), has_next_page(fetched)

    async def _ask(self, repository: str, what: str) -> Fetched | None:
        url = f"{self.params.base_url.rstrip('/')}/repos/{repository}/{what}"
        source, headers = self._name(repository), self._headers()
        # Where tags count, that the releases are as they were says nothing; and a later page has its own validators.
        if self.params.tags or not what.endswith("&page=1"):
            return await self.fetch(url, source=source, headers=headers, statuses_ok=REFUSALS)
        return await self.fetch_if_changed(url, source=source, headers=headers, statuses_ok=REFUSALS)

    def _headers(self) -> dict[str, str]:
        token = self.params.token.get_secret_value() if self.params.token else ""
        return {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }

    def _name(self, repository: str) -> str:
        # What is kept of a source is for these releases only; others of the same repository are another source.
        wanted = [name for name in ("prereleases", "drafts", "tags") if getattr(self.params, name)]
        return " ".join([repository, str(self.params.limit), *wanted])


def _make_release(release: dict[str, Any], repository: str, source: str) -> FoundItem:
    number = read_whole(release.get("id"))
    tag, text = read_text(release.get("tag_name")), read_text(release.get("body"))
    data = {
        "url": read_web_address(release.get("html_url")) or f"https://github.com/{repository}/releases",
        "repository": repository,
        "kind": "release",
        "tag": tag,
        "title": read_text(release.get("name")) or tag,
        "text": text,
        "author": read_text(read_object(release.get("author")).get("login")),
        "prerelease": release.get("prerelease") is True,
        "draft": release.get("draft") is True,
        "published_at": tell_iso(release.get("published_at")),
        "commit": read_text(release.get("target_commitish")),
        "assets": [_read_asset(asset) for asset in read_objects(release.get("assets"))],
    }
    version = hash_url(repr(sorted(data.items())), 16)
    return FoundItem(f"{repository}/releases/{number}".lower() if number else "", data, None, version, source)


def _read_asset(asset: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": read_text(asset.get("name")),
        "url": read_web_address(asset.get("browser_download_url")),
        "size": read_whole(asset.get("size")),
        "type": read_text(asset.get("content_type")),
    }


def _make_tag(tag: dict[str, Any], repository: str, source: str) -> FoundItem:
    name, commit = read_text(tag.get("name")), read_text(read_object(tag.get("commit")).get("sha"))
    data = {
        "url": f"https://github.com/{repository}/tree/{name}",
        "repository": repository,
        "kind": "tag",
        "tag": name,
        "title": name,
        "text": "",
        "author": "",
        "prerelease": False,
        "draft": False,
        "published_at": None,
        "commit": commit,
        "assets": [],
    }
    return FoundItem(f"{repository.lower()}/tags/{name}" if name else "", data, None, commit or None, source)
