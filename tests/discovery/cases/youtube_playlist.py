from __future__ import annotations

PLAYLIST = "PLsample-0123456789"


def make_case(sources, case):
    for folder, name in (("/good", "good"), ("/empty", "empty")):
        sources.serve(f"{folder}/feeds/videos.xml", name, query_string={"playlist_id": PLAYLIST})
    return case(
        good={"playlists": [PLAYLIST], "base_url": sources.url("/good")},
        empty={"playlists": [PLAYLIST], "base_url": sources.url("/empty")},
        networked=True,
    )
