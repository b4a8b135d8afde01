"""The captions of YouTube's videos, by youtube-transcript-api, which asks through our own client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from youtube_transcript_api import (
    AgeRestricted,
    CouldNotRetrieveTranscript,
    InvalidVideoId,
    NoTranscriptFound,
    PoTokenRequired,
    RequestBlocked,
    TranscriptsDisabled,
    VideoUnavailable,
    VideoUnplayable,
    YouTubeTranscriptApi,
)

from handlers.subtitles import Cue
from pipeline.outcomes import GiveUp, RetryLater, Skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from youtube_transcript_api import Transcript

    from handlers.video_site import VideoSite

BLOCKED_SECONDS = 3600.0
"""YouTube blocks an address for hours, and says not how many."""

_NOT_YET = re.compile(r"premiere|live event|will begin|not yet|scheduled|processing", re.IGNORECASE)
_NEVER = (AgeRestricted, InvalidVideoId, PoTokenRequired, VideoUnavailable, VideoUnplayable)


@dataclass(frozen=True, slots=True)
class Captions:
    """What a video says: the cues, the language's code, and whether YouTube itself wrote them down."""

    cues: Sequence[Cue]
    language: str
    generated: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which captions: languages by preference; whether any other does; whether YouTube's own do."""

    languages: Sequence[str]
    other_languages: bool
    generated: bool


def fetch_captions(site: VideoSite, video_id: str, wanted: Wanted) -> Captions | Skip | GiveUp | RetryLater:
    """
    Fetch the captions of a video that fit best: of two of a language, those that a person wrote.

    Skip when there are none, GiveUp for a video that is gone or private, RetryLater where YouTube blocks us or the
    video is yet to come. Raises as `PoliteClient.fetch` does, and youtube-transcript-api's errors for answers that it
    cannot read.
    """
    with Session() as session:
        session.mount("https://", _Carrier(site))
        session.mount("http://", _Carrier(site))
        try:
            found = _choose(YouTubeTranscriptApi(http_client=session).list(video_id), wanted)
            if isinstance(found, Skip):
                return found
            cues = [
                Cue(round(said.start, 3), round(said.start + said.duration, 3), " ".join(said.text.split()))
                for said in found.fetch()
            ]
        except CouldNotRetrieveTranscript as error:
            return _explain(video_id, error)
    return Captions([cue for cue in cues if cue.text], found.language_code, found.is_generated)


def _choose(offered: Iterable[Transcript], wanted: Wanted) -> Transcript | Skip:
    those = [each for each in offered if wanted.generated or not each.is_generated]
    for language in wanted.languages:
        for each in those:  # those that a person wrote come first
            if (
                each.language_code.lower().partition("-")[0] == language.lower()
                or each.language_code == language
            ):
                return each
    if those and wanted.other_languages:
        return those[0]
    there = ", ".join(each.language_code for each in those) or "none"
    return Skip(f"no captions in {', '.join(wanted.languages) or 'any language'}; there are: {there}")


def _explain(video_id: str, error: CouldNotRetrieveTranscript) -> Skip | GiveUp | RetryLater:
    said = " ".join(str(getattr(error, "reason", None) or error.cause).split())[:300]
    if isinstance(error, TranscriptsDisabled | NoTranscriptFound):
        return Skip(f"the video {video_id} has no captions")
    if isinstance(error, RequestBlocked):
        return RetryLater(BLOCKED_SECONDS, "YouTube blocks requests from this address")
    if isinstance(error, VideoUnplayable) and _NOT_YET.search(said):
        return RetryLater(BLOCKED_SECONDS, f"the video {video_id} cannot be played yet: {said}")
    if isinstance(error, _NEVER):
        return GiveUp(f"the video {video_id} gives no captions: {said}")
    raise error


class _Carrier(BaseAdapter):
    """Carries the requests of the library's session."""

    def __init__(self, site: VideoSite) -> None:
        super().__init__()
        self._site = site

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        # Who asks is ours to say, and what a body may be packed in is ours to unpack.
        headers = {
            name: str(value)
            for name, value in request.headers.items()
            if name.lower() in {"accept-language", "content-type", "cookie"}
        }
        body = request.body if isinstance(request.body, bytes) else None
        fetched = self._site.ask(str(request.method), str(request.url), headers, body)
        response = Response()
        response.status_code, response.url, response.request = fetched.status, fetched.url, request
        response.headers = CaseInsensitiveDict(fetched.headers)
        response.encoding = "utf-8"
        response._content = fetched.body  # noqa: SLF001  the one way to make a response without a urllib3 stream
        return response

    def close(self) -> None:
        """Hold nothing open."""
