"""Answers of YouTube, made by hand in its wire format and no larger than what is read of them."""

from __future__ import annotations

import json
from typing import Any

VIDEO_ID = "dQw4w9WgXcQ"
CHANNEL_ID = "UC0123456789012345678901"

PLAYER: dict[str, Any] = {
    "playabilityStatus": {"status": "OK"},
    "videoDetails": {
        "videoId": VIDEO_ID,
        "title": "Roots & stalks",
        "lengthSeconds": "212",
        "keywords": ["celeriac", "winter"],
        "channelId": CHANNEL_ID,
        "shortDescription": "About roots.\n0:00 Begin\n1:00 Middle\n2:00 End",
        "viewCount": "1234",
        "author": "The Garden",
        "thumbnail": {
            "thumbnails": [{"url": "https://i.ytimg.com/vi/x/hq.jpg", "width": 480, "height": 360}]
        },
    },
    "microformat": {
        "playerMicroformatRenderer": {
            "publishDate": "2026-11-25T01:02:03-08:00",
            "uploadDate": "2026-11-25T01:02:03-08:00",
            "category": "Howto & Style",
            "ownerProfileUrl": "http://www.youtube.com/@garden",
        }
    },
}


OWNER = {"title": {"runs": [{"text": "The Garden"}]}}
AROUND = {
    "contents": {
        "twoColumnWatchNextResults": {
            "results": {
                "results": {
                    "contents": [
                        {"videoPrimaryInfoRenderer": {"title": {"runs": [{"text": "Roots & stalks"}]}}},
                        {"videoSecondaryInfoRenderer": {"owner": {"videoOwnerRenderer": OWNER}}},
                    ]
                }
            }
        }
    }
}


def write_refusal(status: str, reason: str) -> dict[str, Any]:
    """Write the player's answer for a video that cannot be played."""
    return {"playabilityStatus": {"status": status, "reason": reason}}


def write_page(player: Any) -> str:
    """Write the page of a video."""
    config = json.dumps({"INNERTUBE_API_KEY": "key-1"})
    return (
        f"<!doctype html><html><script>ytcfg.set({config});</script>"
        f"<script>var ytInitialPlayerResponse = {json.dumps(player)};</script>"
        f"<script>var ytInitialData = {json.dumps(AROUND)};</script></html>"
    )


def write_captions(*tracks: tuple[str, bool]) -> dict[str, Any]:
    """Write the player's answer with captions: each a language, and whether YouTube made it."""
    return PLAYER | {
        "captions": {
            "playerCaptionsTracklistRenderer": {
                "captionTracks": [
                    {
                        "baseUrl": f"https://www.youtube.com/api/timedtext?lang={language}&made={made}&fmt=srv3",
                        "name": {"runs": [{"text": language}]},
                        "languageCode": language,
                        **({"kind": "asr"} if made else {}),
                    }
                    for language, made in tracks
                ]
            }
        }
    }


TIMED_TEXT = (
    '<?xml version="1.0" encoding="utf-8" ?><transcript><text start="0.5" dur="1.25">Good\nmorning</text>'
    '<text start="1.75" dur="2">to &amp;quot;celeriac&amp;quot;</text><text start="4" dur="1"></text></transcript>'
)
