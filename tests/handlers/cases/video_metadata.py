from __future__ import annotations

from youtube_pages import PLAYER, VIDEO_ID, write_page, write_refusal


def make_sample(house):
    house.httpserver.expect_request("/watch").respond_with_data(write_page(PLAYER), content_type="text/html")
    return {"params": {"base_url": house.httpserver.url_for("/")}, "data": {"video_id": VIDEO_ID}}


def make_endings(house):
    answers = {
        "never": write_refusal("LOGIN_REQUIRED", "Private video"),
        "later": write_refusal("LOGIN_REQUIRED", "Sign in to confirm you're not a bot"),
        "unexpected": write_refusal("ODD", "Odd"),
    }
    for kind, answer in answers.items():
        house.httpserver.expect_request(f"/{kind}/watch").respond_with_data(write_page(answer))
    refused = {
        kind: {"params": {"base_url": house.httpserver.url_for(f"/{kind}")}, "data": {"video_id": VIDEO_ID}}
        for kind in answers
    }
    return {"skip": {}, **refused}
