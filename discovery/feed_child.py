"""
The process in which feeds are read: whatever their bytes are made for, it can be stopped, and takes only so much.

Started by `discovery.feed_reading`, one for a discovery.
"""

from __future__ import annotations

from typing import Any

from discovery.feed_entries import NoFeedError, read_xml_feed
from discovery.json_feeds import looks_like_json, read_json_feed
from discovery.podcast_episodes import read_episodes
from pipeline.confined import answer_questions


def answer(question: dict[str, Any], body: bytes) -> dict[str, Any]:
    """
    Read one feed: `{"feed": Feed, "episodes": {identity: Episode}}`, or `{"problem": str}` when it is none.

    Raises whatever the readers stumble over; that ends the process, and tells its parent.
    """
    content_type, limit = question["content_type"], question["limit"]
    try:
        if looks_like_json(body):
            return {"feed": read_json_feed(body, content_type, limit).as_dict(), "episodes": {}}
        feed = read_xml_feed(body, content_type, question["url"], limit)
    except NoFeedError as error:
        return {"problem": str(error)}
    episodes = read_episodes(body, content_type, question["url"], limit) if question["episodes"] else {}
    return {"feed": feed.as_dict(), "episodes": episodes}


if __name__ == "__main__":
    answer_questions(answer)
