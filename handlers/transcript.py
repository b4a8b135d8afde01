"""The handler `transcript`: what is said in a video, or written in a file of subtitles."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.captions import Captions, Wanted, fetch_captions
from handlers.inputs import File, find_file
from handlers.subtitles import join_text, look_like_subtitles, read_subtitles
from handlers.templates import Template, render
from handlers.video_site import BASE_URL, YOUTUBE, BaseUrl, VideoSite
from net.charset import decode
from net.video_ids import extract_video_id
from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.base import HandlerContext
    from handlers.subtitles import Cue
    from pipeline.outcomes import Outcome

MIB = 1024 * 1024

_TYPES = ("text/vtt", "application/x-subrip", "application/srt", "text/srt", "text/x-srt")
_HOSTS = ("youtube.com", "youtu.be")


class Transcript(Handler):
    """
    Read what is said: the captions of a YouTube video, or a file of subtitles in the form SRT or WebVTT.

    Tags and styles are left out, and lines that rolling captions repeat. A cue whose times make no sense is left out
    and counted. Of two captions of a language, those that a person wrote are taken.

    Input: the template `url`, of a file or a video; else a needed result with a text or an artifact of subtitles,
    the nearest first; else the item's `data["transcripts"]`, as `podcast_feeds` gives them; else its
    `data["text"]`, if that is one of subtitles; else the YouTube video of its `data["video_id"]` or `data["url"]`.
    Result: `{"text" (a line for each line that is said), "language", "format" (youtube, srt or vtt), "generated"
    (whether YouTube wrote it down; None for a file), "cues" (each `{start_seconds, end_seconds, text, speaker}`;
    without `cues`, none), "duration_seconds", "broken_cues"}`. Endings: Skip when there is nothing to read, or the
    video has no captions in these languages; GiveUp for a video that is private or removed, a file that is refused,
    too large, or none of subtitles; RetryLater when YouTube blocks us, the video is yet to come, or the host asks
    to slow down. No connection, a time-out or a 5xx raise SourceUnavailableError, for the stage's retries.
    Idempotent: it only reads; the same video or file gives the same result.
    Example: {handler: transcript, params: {languages: [en, de], other_languages: true}, rate: 10/m}

    Source: github.com/jdepoix/youtube-transcript-api; w3.org/TR/webvtt1.
    """

    TIMEOUT = "5m"

    class Params(HandlerParams):
        """The parameters of `transcript`."""

        url: Template | None = Field(None, description="A file of subtitles, or a YouTube video; a template.")
        languages: list[str] = Field(["en"], description="Languages by preference, such as en or pt-BR.")
        other_languages: bool = Field(False, description="Take another language when none of these is there.")
        generated: bool = Field(True, description="Take captions that YouTube made of the sound, too.")
        cues: bool = Field(True, description="Give also when each thing is said.")
        max_bytes: int = Field(10 * MIB, ge=1, le=50 * MIB, description="A larger file is given up.")
        base_url: BaseUrl = Field(YOUTUBE, description=BASE_URL)

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Find it, read it."""
        try:
            return self._find(context)
        except SourceRejectedError as error:
            return GiveUp(str(error))

    def _find(self, context: HandlerContext) -> Outcome:
        if self.params.url is not None:
            url = render(self.params.url, context, self.params)
            return url if isinstance(url, GiveUp) else self._read_address(context, url.strip())
        for stage in reversed(list(context.results)):
            if (text := self._find_in_result(context, stage)) is not None:
                return text if isinstance(text, GiveUp) else self._read_file(text)
        return self._find_in_data(context)

    def _find_in_data(self, context: HandlerContext) -> Outcome:
        data = context.data
        if (address := self._choose_file(data.get("transcripts"))) is not None:
            return self._read_address(context, address)
        text = data.get("text")
        if isinstance(text, str) and look_like_subtitles(text):
            return self._read_file(text)
        for name in ("video_id", "url"):
            if isinstance(data.get(name), str) and (video_id := extract_video_id(data[name])):
                return self._read_video(context, video_id)
        return Skip("the item has neither a video of YouTube nor subtitles")

    def _find_in_result(self, context: HandlerContext, stage: str) -> str | GiveUp | None:
        text = context.results[stage].get("text")
        if isinstance(text, str):
            return text if look_like_subtitles(text) else None
        file = find_file(context, stage)
        if not isinstance(file, File) or not file.name.lower().endswith((".srt", ".vtt")):
            return None
        if file.size > self.params.max_bytes:
            return GiveUp(
                f"{file.name!r} has {file.size:,} bytes, more than max_bytes ({self.params.max_bytes:,})"
            )
        return decode(file.path.read_bytes() if file.path else file.body)

    def _choose_file(self, offered: object) -> str | None:
        found = [each for each in offered if _is_subtitles(each)] if isinstance(offered, list) else []
        found.sort(key=lambda each: _rank(str(each.get("language") or ""), self.params.languages))
        return str(found[0]["url"]) if found else None

    def _read_address(self, context: HandlerContext, address: str) -> Outcome:
        if (video_id := extract_video_id(address)) is not None:
            return self._read_video(context, video_id)
        fetched = asyncio.run(context.http.fetch(address, max_bytes=self.params.max_bytes))
        return self._read_file(fetched.text)

    def _read_video(self, context: HandlerContext, video_id: str) -> Outcome:
        site = VideoSite(context.http, _HOSTS, self.params.base_url)
        wanted = Wanted(self.params.languages, self.params.other_languages, self.params.generated)
        found = fetch_captions(site, video_id, wanted)
        if not isinstance(found, Captions):
            return found
        return self._describe(found.cues, "youtube", found.language, generated=found.generated)

    def _read_file(self, text: str) -> Outcome:
        found = read_subtitles(text)
        if not found.cues:
            return GiveUp(f"no subtitles in it: {found.broken} cues without sense, no other")
        return self._describe(found.cues, found.format, found.language, broken=found.broken)

    def _describe(
        self,
        cues: Sequence[Cue],
        form: str,
        language: str | None,
        *,
        generated: bool | None = None,
        broken: int = 0,
    ) -> Outcome:
        return {
            "text": join_text(cues),
            "language": language,
            "format": form,
            "generated": generated,
            "cues": [asdict(cue) for cue in cues] if self.params.cues else [],
            "duration_seconds": max((cue.end_seconds for cue in cues), default=0.0),
            "broken_cues": broken,
        }


def _is_subtitles(offered: Any) -> bool:
    if not isinstance(offered, dict) or not isinstance(offered.get("url"), str):
        return False
    kind = str(offered.get("type") or "").partition(";")[0].strip().lower()
    return kind in _TYPES or (not kind and offered["url"].lower().endswith((".srt", ".vtt")))


def _rank(language: str, wanted: Sequence[str]) -> int:
    """Rank a language by preference; one that is unsaid comes after those that are wanted."""
    for rank, each in enumerate(wanted):
        if language.lower() == each.lower() or language.lower().partition("-")[0] == each.lower():
            return rank
    return len(wanted) + bool(language)
