from __future__ import annotations


def make_sample(house):
    house.httpserver.expect_request("/root").respond_with_data("<p>Roots</p>", content_type="text/html")
    return {"data": {"url": house.httpserver.url_for("/root")}}


def make_endings(house):
    server = house.httpserver
    server.expect_request("/gone").respond_with_data(status=404)
    server.expect_request("/busy").respond_with_data(status=429, headers={"retry-after": "120"})
    server.expect_request("/ill").respond_with_data(status=500)
    return {
        "skip": {},
        "never": {"data": {"url": server.url_for("/gone")}},
        "later": {"data": {"url": server.url_for("/busy")}},
        "unexpected": {"data": {"url": server.url_for("/ill")}},
    }
