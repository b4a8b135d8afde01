"""
The strategies and handlers that come with Celeriac: short names to dotted paths, imported on use.

A user's own `package.module:Class` works in jobs.yaml wherever a short name does. An extra that is not
installed breaks only the jobs that use it.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from pipeline.aside import printing_aside
from pipeline.errors import MissingExtraError, PluginImportError, UnknownNameError
from pipeline.sources import remember_sources

STRATEGIES = {
    "arxiv": "discovery.arxiv:Arxiv",
    "company_watchlist": "discovery.company_watchlist:CompanyWatchlist",
    "csv_rows": "discovery.csv_rows:CsvRows",
    "github_releases": "discovery.github_releases:GithubReleases",
    "hacker_news": "discovery.hacker_news:HackerNews",
    "html_links": "discovery.html_links:HtmlLinks",
    "imap_mailbox": "discovery.imap_mailbox:ImapMailbox",
    "index_pages": "discovery.index_pages:IndexPages",
    "json_api": "discovery.json_api:JsonApi",
    "local_files": "discovery.local_files:LocalFiles",
    "manual": "discovery.manual:Manual",
    "newsflow_sources": "discovery.newsflow_sources:NewsflowSources",
    "object_store": "discovery.object_store:ObjectStore",
    "opml_feeds": "discovery.opml_feeds:OpmlFeeds",
    "podcast_feeds": "discovery.podcast_feeds:PodcastFeeds",
    "reddit_listing": "discovery.reddit_listing:RedditListing",
    "rss_feeds": "discovery.rss_feeds:RssFeeds",
    "sec_filings": "discovery.sec_filings:SecFilings",
    "serper_news": "discovery.serper_news:SerperNews",
    "serper_search": "discovery.serper_search:SerperSearch",
    "serper_youtube": "discovery.serper_youtube:SerperYoutube",
    "sitemap": "discovery.sitemap:Sitemap",
    "sql_query": "discovery.sql_query:SqlQuery",
    "stdin_lines": "discovery.stdin_lines:StdinLines",
    "tracker_query": "discovery.tracker_query:TrackerQuery",
    "vic_atoz": "discovery.vic_atoz:VicAtoz",
    "vic_wayback_cdx": "discovery.vic_wayback_cdx:VicWaybackCdx",
    "wayback_cdx": "discovery.wayback_cdx:WaybackCdx",
    "wikipedia_changes": "discovery.wikipedia_changes:WikipediaChanges",
    "youtube_channel": "discovery.youtube_channel:YoutubeChannel",
    "youtube_playlist": "discovery.youtube_playlist:YoutubePlaylist",
    "youtube_video_list": "discovery.youtube_video_list:YoutubeVideoList",
}

HANDLERS = {
    "article": "handlers.article:Article",
    "audio_transcribe": "handlers.audio_transcribe:AudioTranscribe",
    "classify": "handlers.classify:Classify",
    "dedupe": "handlers.dedupe:Dedupe",
    "email": "handlers.email:Email",
    "embed": "handlers.embed:Embed",
    "feed_enclosure": "handlers.feed_enclosure:FeedEnclosure",
    "fetch": "handlers.fetch:Fetch",
    "filter": "handlers.filter:Filter",
    "html_select": "handlers.html_select:HtmlSelect",
    "html_to_markdown": "handlers.html_to_markdown:HtmlToMarkdown",
    "http_call": "handlers.http_call:HttpCall",
    "llm": "handlers.llm:Llm",
    "llm_extract": "handlers.llm_extract:LlmExtract",
    "notify": "handlers.notify:Notify",
    "pdf_text": "handlers.pdf_text:PdfText",
    "python": "handlers.python:Python",
    "python_outline": "handlers.python_outline:PythonOutline",
    "read_file": "handlers.read_file:ReadFile",
    "shell": "handlers.shell:Shell",
    "sqlite_upsert": "handlers.sqlite_upsert:SqliteUpsert",
    "summarise_text": "handlers.summarise_text:SummariseText",
    "transcript": "handlers.transcript:Transcript",
    "transform": "handlers.transform:Transform",
    "video_metadata": "handlers.video_metadata:VideoMetadata",
    "wait_for": "handlers.wait_for:WaitFor",
    "webhook": "handlers.webhook:Webhook",
    "write_file": "handlers.write_file:WriteFile",
}

EXTRAS = {
    "article": "extract",
    "classify": "llm",
    "html_to_markdown": "extract",
    "imap_mailbox": "imap",
    "llm": "llm",
    "llm_extract": "llm",
    "object_store": "s3",
    "pdf_text": "pdf",
    "transcript": "youtube",
    "video_metadata": "youtube",
}
"""Which extra brings the packages that a short name needs beyond the core."""


OFFLINE = frozenset(
    {
        "article",
        "csv_rows",
        "dedupe",
        "email",
        "filter",
        "html_select",
        "html_to_markdown",
        "imap_mailbox",
        "local_files",
        "manual",
        "object_store",
        "pdf_text",
        "python",
        "python_outline",
        "read_file",
        "shell",
        "sql_query",
        "sqlite_upsert",
        "stdin_lines",
        "summarise_text",
        "tracker_query",
        "transform",
        "wait_for",
        "write_file",
    }
)
"""The short names that ask nobody on the web. The others need a contact, by which they say who asks."""

ONLINE_WITH = {"notify": "webhook"}
"""The parameters without which a short name asks nobody on the web either: a mail is no request."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One of the two kinds of plugin, and the table of those that come with Celeriac."""

    word: Literal["strategy", "handler"]
    table: dict[str, str]


STRATEGY = Kind("strategy", STRATEGIES)
HANDLER = Kind("handler", HANDLERS)


def find_nearest(name: str, known: list[str]) -> str | None:
    """Name the known word that was likeliest meant, or None; upper and lower case tell words apart last."""
    spelled: dict[str, list[str]] = {}
    for word in known:
        spelled.setdefault(word.casefold(), []).append(word)
    for nearest in difflib.get_close_matches(name.casefold(), spelled, n=1, cutoff=0.6):
        return difflib.get_close_matches(name, spelled[nearest], n=1, cutoff=0)[0]
    return None


@cache
def load(kind: Kind, name: str) -> Any:
    """
    Import the class behind a short name or a `package.module:Class`.

    Raises `UnknownNameError` with the nearest known name, `MissingExtraError` with the line to install, or
    `PluginImportError` when the module does not import or has no such class.
    """
    path = name if ":" in name else kind.table.get(name)
    if path is None:
        raise UnknownNameError(kind.word, name, sorted(kind.table), find_nearest(name, sorted(kind.table)))
    module_name, _, attribute = path.partition(":")
    try:
        with printing_aside(children=False):
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        if name in EXTRAS and error.name:
            raise MissingExtraError(kind.word, name, EXTRAS[name], error.name) from error
        raise PluginImportError(f"{kind.word} {name!r}: {error}") from error
    except (Exception, SystemExit) as error:  # to import a user's module is to run it
        why = " ".join(f"{type(error).__name__}: {error}".split())  # a problem of jobs.yaml is one line
        raise PluginImportError(f"{kind.word} {name!r}: importing {module_name} raised {why}") from error
    try:
        found = getattr(module, attribute)
    except AttributeError as error:
        raise PluginImportError(f"{kind.word} {name!r}: {module_name} has no {attribute!r}") from error
    if kind is HANDLER and ":" in name:
        bases = {each.__module__ for each in getattr(found, "__mro__", ())}
        remember_sources(sys.modules[each] for each in sorted(bases) if each in sys.modules)
    return found
