from __future__ import annotations

SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Good</i> morning\n"


def make_sample(house):
    return {"results": {"fetch": {"body": house.keep("talk.srt", SRT.encode())}}}


def make_endings(house):
    server = house.httpserver
    server.expect_request("/gone.vtt").respond_with_data(status=404)
    server.expect_request("/busy.vtt").respond_with_data(status=429, headers={"retry-after": "120"})
    server.expect_request("/ill.vtt").respond_with_data(status=500)
    return {
        "skip": {},
        "never": {"params": {"url": server.url_for("/gone.vtt")}},
        "later": {"params": {"url": server.url_for("/busy.vtt")}},
        "unexpected": {"params": {"url": server.url_for("/ill.vtt")}},
    }
