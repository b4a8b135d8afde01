"""
The pages docs/strategies.md and docs/handlers.md: made from the models, the docstrings and the catalogue.

`python -m pipeline.plugin_pages` writes them; with `--check` it only says whether they are up to date.
"""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.catalog import HANDLER, STRATEGY, Kind
from pipeline.plugin_docs import ParameterDoc, PluginDoc, describe_plugin, show_default

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDER = Path(__file__).parent.parent / "docs"

STRATEGY_FAMILIES = {
    "Feeds and news": (
        "rss_feeds",
        "opml_feeds",
        "podcast_feeds",
        "newsflow_sources",
        "hacker_news",
        "reddit_listing",
    ),
    "Sites and APIs": (
        "sitemap",
        "html_links",
        "json_api",
        "index_pages",
        "vic_atoz",
        "wayback_cdx",
        "vic_wayback_cdx",
        "wikipedia_changes",
    ),
    "Search": ("serper_search", "serper_news", "serper_youtube", "company_watchlist"),
    "Video": ("youtube_channel", "youtube_playlist", "youtube_video_list"),
    "Filings, papers and code": ("sec_filings", "arxiv", "github_releases"),
    "Files, tables and mail": ("local_files", "csv_rows", "sql_query", "object_store", "imap_mailbox"),
    "By hand, and from other jobs": ("manual", "stdin_lines", "tracker_query"),
}
"""What a reader looks for, and the strategies that give it; a test compares with the catalogue."""

HANDLER_FAMILIES = {
    "Get something": ("fetch", "feed_enclosure", "transcript", "video_metadata", "read_file"),
    "Make something of it": (
        "article",
        "html_to_markdown",
        "html_select",
        "pdf_text",
        "python_outline",
        "summarise_text",
        "transform",
        "python",
    ),
    "Choose, and wait": ("filter", "dedupe", "wait_for"),
    "Run or call something": ("shell", "http_call"),
    "Tell somebody": ("webhook", "email", "notify"),
    "Ask a model": ("llm", "llm_extract", "classify", "embed", "audio_transcribe"),
    "Keep it": ("write_file", "sqlite_upsert"),
}


@dataclass(frozen=True, slots=True)
class Page:
    """One generated page: which plugins, in which families, and what stands above them."""

    file_name: str
    title: str
    kind: Kind
    families: Mapping[str, Sequence[str]]
    opening: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return FOLDER / self.file_name


PAGES = (
    Page(
        "strategies.md",
        "Strategies",
        STRATEGY,
        STRATEGY_FAMILIES,
        "How a job finds its items. A strategy's parameters stand beside its name, under `discovery:` in "
        "[jobs.yaml](jobs-yaml.md#discovery); the examples are jobs, to be pasted below `jobs:`. `celeriac strategies "
        "NAME` says the same as this page, and `celeriac sources test NAME key=value …` runs one without a job and "
        "stores nothing. [Adding a strategy](adding-a-strategy.md) tells how to write your own.",
    ),
    Page(
        "handlers.md",
        "Handlers",
        HANDLER,
        HANDLER_FAMILIES,
        "What a stage runs. A handler's parameters stand under the stage's `params:` in "
        "[jobs.yaml](jobs-yaml.md#a-stage); the examples are stages, to be pasted below `stages:`. `celeriac handlers "
        "NAME` says the same as this page, and `celeriac try NAME key=value … < input.json` runs one without a job and "
        "stores nothing. [Adding a handler](adding-a-handler.md) tells how to write your own.",
    ),
)


def render_page(page: Page) -> str:
    """Write a page as the text of its file. Raises `MissingExtraError` if an extra is not installed."""
    docs = {name: describe_plugin(page.kind, name) for name in page.kind.table}
    families = _place(page, docs)
    parts = [f"# {page.title}", _wrap(page.opening), *_list_contents(families)]
    for family, members in families.items():
        parts.append(f"## {family}")
        parts += [part for doc in members for part in _show_plugin(doc)]
    return "\n\n".join(parts) + "\n"


def _place(page: Page, docs: Mapping[str, PluginDoc]) -> dict[str, list[PluginDoc]]:
    placed = {
        family: [docs[name] for name in names if name in docs] for family, names in page.families.items()
    }
    known = {doc.name for members in placed.values() for doc in members}
    placed["Others"] = [doc for name, doc in docs.items() if name not in known]
    return {family: members for family, members in placed.items() if members}


def _list_contents(families: Mapping[str, Sequence[PluginDoc]]) -> Iterator[str]:
    for family, members in families.items():
        rows = [(f"[`{doc.name}`](#{doc.name})", doc.summary) for doc in members]
        yield _write_table((family, "what it does"), rows)


def _show_plugin(doc: PluginDoc) -> Iterator[str]:
    yield f"### {doc.name}"
    yield "\n\n".join(_wrap(each) for each in (doc.summary, *doc.about.split("\n\n")) if each)
    if doc.extra:
        yield f"Needs `pip install 'celeriac[{doc.extra}]'`."
    if doc.timeout:
        yield f"One attempt may take {doc.timeout}, unless jobs.yaml says otherwise."
    if doc.parameters:
        yield _list_parameters(doc.parameters)
    for form in doc.forms:
        yield _wrap(f"`{form.form}`: {form.about}")
        yield _list_parameters(form.parameters)
    if doc.environment:
        yield _wrap(say_environment(doc))
    yield "\n".join(_wrap(f"- **{word}**: {said}", "  ") for word, said in doc.entries.items())
    yield f"```yaml\n{doc.example}```"


def say_environment(doc: PluginDoc) -> str:
    """Say which parameters come from variables of the environment when they are left out."""
    said = [
        f"`{each.parameter}` is taken from `{each.variable}`{'' if each.required else ', if that is set'}"
        for each in doc.environment
    ]
    return f"From the environment, when left out: {'; '.join(said)}."


def _list_parameters(parameters: Sequence[ParameterDoc]) -> str:
    rows = [(f"`{each.name}`", each.type, _mark_default(each), each.description) for each in parameters]
    return _write_table(("parameter", "may be", "default", "meaning"), rows)


def _mark_default(parameter: ParameterDoc) -> str:
    shown = show_default(parameter)
    return shown if parameter.required else f"`{shown}`" if shown else "none"


def _write_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` compare them: 0 if they are up to date, else 1."""
    stale = []
    for page in PAGES:
        text = render_page(page)
        if not (page.path.is_file() and page.path.read_text(encoding="utf-8") == text):
            stale.append(page.path)
            if "--check" not in arguments:
                page.path.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"{', '.join(map(str, stale))} out of date: run python -m pipeline.plugin_pages\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
