"""Subtitles in the forms SRT and WebVTT: what is said when, without the dress."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TIME = r"(?:(\d{1,4}):)?(\d{1,3}):(\d{1,2})(?:[.,:](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-+>\s*{_TIME}(?:\s.*)?", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]{1,200})>", re.IGNORECASE)
_DRESS = re.compile(r"</?[a-z][\w.:-]*(?:\s[^<>]*)?/?>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_LANGUAGE = re.compile(r"language:\s*([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*", re.IGNORECASE)
_HEAD_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Cue:
    """What is said from one instant to another, in seconds from the beginning; `speaker` where the file names one."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None


@dataclass(slots=True)
class Subtitles:
    """A file of subtitles; `format` is `srt` or `vtt`, `broken` counts the cues whose times make no sense."""

    format: str
    language: str | None = None
    cues: list[Cue] = field(default_factory=list)
    broken: int = 0


def look_like_subtitles(text: str) -> bool:
    """Tell subtitles from other text by their beginning."""
    head = text[:_HEAD_CHARS].lstrip("\ufeff \t\r\n")
    return head.startswith("WEBVTT") or any(_TIMING.fullmatch(line) for line in head.splitlines()[:50])


def read_subtitles(text: str) -> Subtitles:
    r"""
    Read subtitles of either form, as far as they make sense.

    A cue whose times cannot be read, or that ends before it begins, is left out and counted; one without words is
    left out. Missing numbers, missing empty lines, commas or points in the times and tags of any kind do no harm.

    Source: the WebVTT standard, w3.org/TR/webvtt1; SRT has none.

    >>> read_subtitles("1\n00:00:01,000 --> 00:00:02,500\n<i>Good</i> morning").cues
    [Cue(start_seconds=1.0, end_seconds=2.5, text='Good morning', speaker=None)]
    """
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    is_vtt = next((line for line in lines if line.strip()), "").startswith("WEBVTT")
    found = Subtitles("vtt" if is_vtt else "srt")
    starts = [number for number, line in enumerate(lines) if "-->" in line or _TIMING.fullmatch(line)]
    if is_vtt:
        found.language = _read_language(lines[: starts[0]] if starts else lines)
    for start, after in zip(starts, [*starts, len(lines)][1:], strict=True):
        cue = _read_cue(
            lines[start], _cut(lines[start + 1 : after], is_vtt=is_vtt, is_followed=after < len(lines))
        )
        if cue is None:
            found.broken += 1
        elif cue.text:
            found.cues.append(cue)
    return found


def join_text(cues: Iterable[Cue]) -> str:
    """
    Join what is said, a line for each line of the cues.

    A line that the one before says already, as captions that roll do, comes once. Where another speaker begins, the
    line begins with the name.
    """
    lines: list[str] = []
    said, speaker = "", None
    for cue in cues:
        named = cue.speaker and cue.speaker != speaker
        speaker = cue.speaker or speaker
        for line in cue.text.split("\n"):
            if line != said:
                lines.append(f"{cue.speaker}: {line}" if named else line)
                said, named = line, False
    return "\n".join(lines)


def _cut(lines: list[str], *, is_vtt: bool, is_followed: bool) -> list[str]:
    """Cut what belongs to the next cue off the lines after a timing."""
    if is_vtt:
        return lines[: next((number for number, line in enumerate(lines) if not line.strip()), len(lines))]
    # The number of the next cue is the last line, with or without the empty line that should stand before it.
    is_numbered = is_followed and bool(lines) and re.fullmatch(r"\s*\d{1,9}\s*", lines[-1])
    return lines[:-1] if is_numbered else lines


def _read_cue(timing: str, lines: list[str]) -> Cue | None:
    if not (found := _TIMING.fullmatch(timing)):
        return None
    start, end = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
    if start is None or end is None or end < start:
        return None
    voice = _VOICE.search("\n".join(lines))
    return Cue(start, end, "\n".join(_undress(lines)), _clean(voice[1]) or None if voice else None)


def _seconds(parts: tuple[str | None, ...]) -> float | None:
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    if seconds > 59 or (parts[0] is not None and minutes > 59):
        return None
    return round(hours * 3600 + minutes * 60 + seconds + int((parts[3] or "0").ljust(3, "0")) / 1000, 3)


def _undress(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if text := _clean(_DRESS.sub("", line)):
            yield text


def _clean(text: str) -> str:
    return " ".join(_UNSEEN.sub("", html.unescape(text)).split())


def _read_language(head: Iterable[str]) -> str | None:
    for line in head:
        if found := _LANGUAGE.fullmatch(line):
            return found[1]
    return None
