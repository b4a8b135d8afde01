from __future__ import annotations

KEY = "sk-case-5f1d0c7a"


def make_sample(house, path="v1", status=200, headers=None):
    data = [{"object": "embedding", "index": 0, "embedding": [0.25, -1, 0.5]}]
    answer = {
        "data": data,
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }
    if status != 200:
        answer = {"error": {"message": f"No, {KEY}.", "type": "error", "code": None}}
    address = house.httpserver.expect_request(f"/{path}/embeddings", method="POST")
    address.respond_with_json(answer, status=status, headers=headers)
    params = {
        "base_url": house.httpserver.url_for(f"/{path}"),
        "api_key": KEY,
        "model": "text-embedding-3-small",
    }
    return {"params": params, "data": {"text": "Celeriac is a root to eat."}}


def make_endings(house):
    return {
        "skip": make_sample(house) | {"data": {}},
        "never": make_sample(house, "refused", status=401),
        "later": make_sample(house, "busy", status=429, headers={"retry-after": "20"}),
        "unexpected": make_sample(house, "ill", status=500),
    }
