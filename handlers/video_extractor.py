"""What yt-dlp knows of a video, without the video: it asks through our own client, runs nothing and writes nothing."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from yt_dlp import YoutubeDL
from yt_dlp.networking.common import Request, RequestDirector, RequestHandler, Response
from yt_dlp.networking.exceptions import HTTPError, RequestError, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UnsupportedError, UserNotLive

from net.refusals import explain_refusal
from net.shown import show_url
from net.video_ids import extract_video_id
from pipeline.errors import SourceError, SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from handlers.video_site import VideoSite

THROTTLED_SECONDS = 3600.0
NOT_YET_SECONDS = 3600.0

_LIVE = {"is_live", "is_upcoming", "post_live"}
_REFUSALS = frozenset(range(400, 600))
_ABOUT_FORMATS = re.compile(r"(?:video|requested) formats?", re.IGNORECASE)
"""We want none, so what yt-dlp says of them says nothing about the video."""

_THROTTLED = re.compile(
    r"not a bot|rate.?limit|too many requests|try again later|captcha|HTTP Error 429|blocked", re.IGNORECASE
)
_NOT_YET = re.compile(
    r"premieres|will begin|live event|not started|still processing|being processed|not.{0,30}live",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"private|unavailable|removed|deleted|no longer|does not exist|not available|terminated|copyright|members.only"
    r"|join this channel|age.restricted|confirm your age|inappropriate|sign in|log ?in|purchase|rental|password"
    r"|in your country|not found|unsupported url|no suitable|not a valid url|drm",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Log:
    """Keeps what yt-dlp says, in place of printing it."""

    warnings: list[str] = field(default_factory=list)

    def debug(self, message: str) -> None:
        """Drop it."""

    def warning(self, message: str) -> None:
        """Keep a warning: a video that cannot be played is told of in one."""
        self.warnings.append(message)

    def error(self, message: str) -> None:
        """Drop it: it is raised, too."""


def extract(
    site: VideoSite, url: str, extractors: Sequence[str], cancelled: Callable[[], bool]
) -> dict[str, Any] | GiveUp | RetryLater:
    """
    Ask yt-dlp about one video: its own mapping, see `help(yt_dlp.extractor.common.InfoExtractor)`.

    `extractors` are those that may be used, by yt-dlp's names. GiveUp for a video that is private, gone, or not to be
    had without an account, and for a list of videos; RetryLater where the site throttles us or the video is yet to
    come. Raises as `PoliteClient.fetch` does, and yt-dlp's DownloadError for what it cannot make sense of.
    """
    told = _Log()
    with _Extractor(site, told, extractors, cancelled) as extractor:
        try:
            found: dict[str, Any] | None = extractor.extract_info(url, download=False)
        except DownloadError as error:
            return _explain(url, error, extractor.failure)
        info: dict[str, Any] = extractor.sanitize_info(found or {})
    if info.get("_type") in {"playlist", "multi_video"}:
        return GiveUp(f"{_name(url)} is a list of videos, not one")
    return info if _is_known(info) else _explain_nothing(url, told.warnings)


def _is_known(info: Mapping[str, Any]) -> bool:
    """Tell a description from the empty one that yt-dlp makes of a video that cannot be played."""
    return bool(info.get("formats") or info.get("duration") or info.get("live_status") in _LIVE)


def _explain_nothing(url: str, warnings: Sequence[str]) -> GiveUp | RetryLater:
    told = [warning for warning in warnings if not _ABOUT_FORMATS.search(warning)]
    for warning in told:
        if (ending := _judge(url, warning)) is not None:
            return ending
    said = _shorten(told[0]) if told else "no word why"
    raise SourceUnavailableError(f"{_name(url)} says nothing of its video: {said}")


def _explain(url: str, error: DownloadError, failure: SourceError | None) -> GiveUp | RetryLater:
    cause = error.exc_info[1] if error.exc_info else None
    said = str(getattr(cause, "orig_msg", None) or error)
    if isinstance(cause, GeoRestrictedError | UnsupportedError):
        return GiveUp(f"{_name(url)}: {_shorten(said)}")
    if isinstance(cause, UserNotLive):
        return RetryLater(NOT_YET_SECONDS, f"{_name(url)}: {_shorten(said)}")
    # Not when yt-dlp could do without what failed, and then came to its own judgement.
    is_judgement = isinstance(cause, ExtractorError) and cause.expected
    if failure is not None and (not is_judgement or isinstance(getattr(cause, "cause", None), RequestError)):
        raise failure from error
    if (ending := _judge(url, said)) is not None:
        return ending
    raise error


def _judge(url: str, said: str) -> GiveUp | RetryLater | None:
    text = f"{_name(url)}: {_shorten(said)}"
    if _THROTTLED.search(said):
        return RetryLater(THROTTLED_SECONDS, text)
    if _NOT_YET.search(said):
        return RetryLater(NOT_YET_SECONDS, text)
    return GiveUp(text) if _NEVER.search(said) else None


def _name(url: str) -> str:
    return extract_video_id(url) or show_url(url)


def _shorten(said: str) -> str:
    return " ".join(
        re.sub(r"\x1b\[[\d;]*m|ERROR: |; please report this issue.*|\.? Use --.*", "", said).split()
    )[:300]


class _Extractor(YoutubeDL):  # type: ignore[misc]  # yt-dlp has no types
    """yt-dlp with no way out but our client: no file, cache, proxy, plugin, cookie store or program of its own."""

    def __init__(
        self, site: VideoSite, told: _Log, extractors: Sequence[str], cancelled: Callable[[], bool]
    ) -> None:
        self._site, self._cancelled = site, cancelled
        self.failure: SourceError | None = None
        youtube = {
            "player_client": ["web"],
            "player_skip": ["js", "configs", "initial_data"],
            "skip": ["hls", "dash"],
        }
        super().__init__(
            {
                "logger": told,
                "quiet": True,
                "noprogress": True,
                "color": "never",
                "skip_download": True,
                "simulate": True,
                "cachedir": False,
                "js_runtimes": {},
                "noplaylist": True,
                "extract_flat": "in_playlist",
                "playlist_items": "1",
                "check_formats": False,
                "ignore_no_formats_error": True,
                "allowed_extractors": [re.escape(name) for name in extractors],
                "extractor_retries": 0,
                "extractor_args": {"youtube": youtube},
            },
            auto_init=False,
        )
        self.add_default_info_extractors()

    def build_request_director(self, *_: Any, **__: Any) -> RequestDirector:
        """Build a director with one carrier: ours."""
        director = RequestDirector(logger=None)
        director.add_handler(
            _CarrierRH(self, logger=None, cookiejar=self.cookiejar, headers=self.params["http_headers"])
        )
        return director

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Ask through the client; what goes wrong there is kept, because yt-dlp keeps only its words."""
        if self._cancelled():
            self.failure = SourceUnavailableError("stopped before the video was described")
        if isinstance(self.failure, SourceUnavailableError):  # do not go on at a site that just said later
            raise TransportError(str(self.failure))
        try:
            fetched = self._site.ask(method, url, headers, body, statuses_ok=_REFUSALS)
        except SourceError as error:
            self.failure = self.failure or error
            raise TransportError(str(error)) from error
        response = Response(io.BytesIO(fetched.body), fetched.url, fetched.headers, fetched.status)
        if fetched.status >= HTTPStatus.BAD_REQUEST:
            refusal = explain_refusal(show_url(url), fetched.status, fetched.headers)
            self.failure = self.failure or refusal
            raise HTTPError(response)
        return response


class _CarrierRH(RequestHandler):  # type: ignore[misc]  # yt-dlp has no types; its handlers' names end so
    """Carries yt-dlp's requests to our client."""

    _SUPPORTED_URL_SCHEMES = ("http", "https")
    _SUPPORTED_PROXY_SCHEMES = None
    _SUPPORTED_FEATURES = None

    def __init__(self, extractor: _Extractor, **given: Any) -> None:
        super().__init__(**given)
        self._extractor = extractor

    def _check_extensions(self, extensions: dict[str, Any]) -> None:
        for name in ("cookiejar", "timeout", "legacy_ssl", "keep_header_casing", "impersonate"):
            extensions.pop(name, None)

    def _send(self, request: Request) -> Response:
        # Only what an extractor itself wants to say: who asks is ours to say, and not a browser.
        headers = {name: str(value) for name, value in request.headers.items()}
        if cookie := self._get_cookiejar(request).get_cookie_header(request.url):
            headers["Cookie"] = cookie
        headers = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        data = request.data
        body = data if data is None or isinstance(data, bytes) else b"".join(data)
        return self._extractor.ask(request.method, request.url, headers, body)
