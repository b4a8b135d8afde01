from __future__ import annotations


def make_sample(house):
    house.httpserver.expect_request("/a.mp3").respond_with_data(b"ID3 sound", content_type="audio/mpeg")
    return {"data": {"audio_url": house.httpserver.url_for("/a.mp3")}}


def make_endings(house):
    server = house.httpserver
    server.expect_request("/gone").respond_with_data(status=404)
    server.expect_request("/busy").respond_with_data(status=429, headers={"retry-after": "120"})
    server.expect_request("/ill").respond_with_data(status=500)
    return {
        "skip": {},
        "never": {"data": {"audio_url": server.url_for("/gone")}},
        "later": {"data": {"audio_url": server.url_for("/busy")}},
        "unexpected": {"data": {"audio_url": server.url_for("/ill")}},
    }
