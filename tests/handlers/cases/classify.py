from __future__ import annotations

KEY = "sk-case-5f1d0c7a"
PARAMS = {"labels": ["food", "tools"]}
SAID = '{"label": "food"}'


def make_sample(house, path="v1", status=200, headers=None):
    message = {"role": "assistant", "content": SAID}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    answer = {"choices": choices, "usage": {"prompt_tokens": 20, "completion_tokens": 4}}
    if status != 200:
        answer = {"error": {"message": f"No, {KEY}.", "type": "error", "code": None}}
    address = house.httpserver.expect_request(f"/{path}/chat/completions", method="POST")
    address.respond_with_json(answer, status=status, headers=headers)
    endpoint = {"base_url": house.httpserver.url_for(f"/{path}"), "api_key": KEY, "model": "gpt-4o-mini"}
    return {"params": endpoint | PARAMS, "data": {"text": "Celeriac is a root to eat."}}


def make_endings(house):
    return {
        "skip": make_sample(house) | {"data": {}},
        "never": make_sample(house, "refused", status=401),
        "later": make_sample(house, "busy", status=429, headers={"retry-after": "20"}),
        "unexpected": make_sample(house, "ill", status=500),
    }
