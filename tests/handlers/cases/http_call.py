from __future__ import annotations

SECRETS = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "headers": {"Authorization": "Bearer s3cret"}}


def make_sample(house):
    house.httpserver.expect_request("/docs", method="POST", json={"text": "Roots"}).respond_with_json(
        {"id": 7}
    )
    return {"params": call(house, "/docs", body={"text": "{{ item.title }}"}), "data": {"title": "Roots"}}


def make_endings(house):
    server = house.httpserver
    server.expect_request("/gone").respond_with_data(status=404)
    server.expect_request("/busy").respond_with_data(status=429, headers={"retry-after": "120"})
    server.expect_request("/ill").respond_with_data(status=500)
    paths = {"never": "/gone", "later": "/busy", "unexpected": "/ill"}
    return {kind: {"params": call(house, path)} for kind, path in paths.items()}


def call(house, path, **more):
    return {"url": house.httpserver.url_for(path), "method": "POST", **SECRETS, **more}
