from __future__ import annotations

SECRETS = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "headers": {"X-Token": "s3cret"}}


def make_sample(house):
    house.httpserver.expect_request("/hook", method="POST").respond_with_data(status=204)
    return post(house, "/hook") | {"data": {"title": "Roots"}, "results": {"article": {"text": "They keep."}}}


def make_endings(house):
    server = house.httpserver
    server.expect_request("/gone").respond_with_data(status=410)
    server.expect_request("/busy").respond_with_data(status=503, headers={"retry-after": "120"})
    server.expect_request("/ill").respond_with_data(status=502)
    return {"never": post(house, "/gone"), "later": post(house, "/busy"), "unexpected": post(house, "/ill")}


def post(house, path):
    return {"params": {"url": house.httpserver.url_for(path), **SECRETS}}
