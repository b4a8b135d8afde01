from __future__ import annotations

KEY = "sk-case-5f1d0c7a"
USAGE = {"prompt_tokens": 20, "completion_tokens": 4}


def make_sample(house, path="v1", status=200, headers=None):
    message = {"role": "assistant", "content": "A root keeps."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    answer = {"choices": choices, "model": "gpt-4o-mini-2024-07-18", "usage": USAGE}
    if status != 200:
        answer = {"error": {"message": f"No, {KEY}.", "type": "error", "code": None}}
    address = house.httpserver.expect_request(f"/{path}/chat/completions", method="POST")
    address.respond_with_json(answer, status=status, headers=headers)
    endpoint = {"base_url": house.httpserver.url_for(f"/{path}"), "api_key": KEY, "model": "gpt-4o-mini"}
    params = endpoint | {"prompt": "Sum up: {{ item.text }}"}
    return {"params": params, "data": {"text": "The root keeps through the winter."}}


def make_endings(house):
    return {
        "never": make_sample(house, "refused", status=401),
        "later": make_sample(house, "busy", status=429, headers={"retry-after": "20"}),
        "unexpected": make_sample(house, "ill", status=500),
    }
