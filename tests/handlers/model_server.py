"""A model endpoint on this machine: OpenAI's wire format, its errors and limits, and a till of its own."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from model_answers import (
    FAILURES,
    Canned,
    count_tokens,
    fill_schema,
    make_chat,
    make_usage,
    make_vector,
    refuse,
    throttle,
)

if TYPE_CHECKING:
    from email.message import Message

KEY = "sk-test-0123456789abcdef"
MILLION = Decimal(1_000_000)

PRICES = {
    "gpt-4o-mini": {"input": Decimal("0.15"), "output": Decimal("0.6"), "cached_input": Decimal("0.075")},
    "text-embedding-3-small": {"input": Decimal("0.02")},
    "whisper-1": {"audio_minute": Decimal("0.006")},
}
"""US dollars a million tokens, or a minute, as OpenAI asks."""

AnswerChat = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: Message
    body: dict[str, Any]


class ModelServer:
    """
    Answer as OpenAI does.

    `fail_every` and `throttle_every` spoil every so many-th request. What is in `canned` is answered first, in its
    order. `paid` counts by request (of embeddings, by text) the good answers that were charged for; `charged` is
    all that was, in US dollars. A text with `poison` in it is refused.
    """

    def __init__(
        self, *, fail_every: int = 0, throttle_every: int = 0, answer: AnswerChat | None = None
    ) -> None:
        self.fail_every, self.throttle_every = fail_every, throttle_every
        self.answer = answer or fill_schema
        self.poison: str | None = None
        self.needs_key = True
        self.canned: list[Canned] = []
        self.asked: list[Asked] = []
        self.charged = Decimal(0)
        self.paid: Counter[str] = Counter()
        self.spoiled: Counter[str] = Counter()
        self._count = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def respond(self, asked: Asked) -> Canned:
        with self._lock:
            self.asked.append(asked)
            canned = self._choose(asked)
            usage = canned.body.get("usage") if isinstance(canned.body, dict) else None
            if usage and asked.body["model"] in PRICES and usage.get("prompt_tokens", 0) in range(1_000_000):
                self.charged += self._price(asked, usage)
            return canned

    def _choose(self, asked: Asked) -> Canned:
        if self.needs_key and asked.headers["authorization"] != f"Bearer {KEY}":
            return refuse(401, "Incorrect API key provided: sk-te**********cdef.", "invalid_api_key")
        if self.canned:
            return self.canned.pop(0)
        self._count += 1
        if self.throttle_every and self._count % self.throttle_every == 0:
            self.spoiled["throttled"] += 1
            return throttle()
        if self.fail_every and self._count % self.fail_every == 0:
            self.spoiled["failed"] += 1
            failure = FAILURES[self.spoiled["failed"] % len(FAILURES)]
            named = isinstance(failure.body, dict) and "model" in failure.body
            return replace(failure, body=failure.body | {"model": asked.body["model"]}) if named else failure
        return self._succeed(asked)

    def _succeed(self, asked: Asked) -> Canned:
        makers = {
            "/v1/chat/completions": self._chat,
            "/v1/embeddings": self._embed,
            "/v1/audio/transcriptions": self._transcribe,
        }
        if asked.path not in makers:
            return refuse(404, f"Unknown request URL: POST {asked.path}", "unknown_url")
        if asked.body.get("model") not in PRICES:
            return refuse(404, f"The model `{asked.body.get('model')}` does not exist", "model_not_found")
        answer = makers[asked.path](asked.body)
        if answer.status == 200:
            self.paid.update(_list_requests(asked))
        return answer

    def _chat(self, body: dict[str, Any]) -> Canned:
        told = "".join(message["content"] for message in body["messages"])
        if self.poison and self.poison in told:
            message = "This model's maximum context length is 128000 tokens."
            return refuse(400, message, "context_length_exceeded")
        text = self.answer(body)
        prompt = count_tokens(told)
        return Canned(body=make_chat(text, make_usage(prompt, count_tokens(text), cached=prompt // 3)))

    def _embed(self, body: dict[str, Any]) -> Canned:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if any(not text or (self.poison and self.poison in text) for text in texts):
            return refuse(400, "Invalid 'input': the string is too long.", None)
        data = [
            {"object": "embedding", "index": index, "embedding": make_vector(text, body.get("dimensions"))}
            for index, text in enumerate(texts)
        ]
        tokens = sum(map(count_tokens, texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        # in another order than asked for: the index says which is which
        return Canned(body={"object": "list", "data": data[::-1], "model": body["model"], "usage": usage})

    def _transcribe(self, body: dict[str, Any]) -> Canned:
        seconds = len(body["file"]) // 100
        text = f"You have sent {len(body['file'])} bytes."
        usage = {"type": "duration", "seconds": seconds}
        if body.get("response_format") != "verbose_json":
            return Canned(body={"text": text, "usage": usage})
        segments = [{"id": 0, "start": 0.0, "end": float(seconds), "text": f" {text}"}]
        more = {"task": "transcribe", "language": "english", "duration": float(seconds), "segments": segments}
        return Canned(body={"text": text, "usage": usage, **more})

    def _price(self, asked: Asked, usage: Mapping[str, Any]) -> Decimal:
        if "cost" in usage:
            return Decimal(str(usage["cost"]))
        prices = PRICES[asked.body["model"]]
        if "seconds" in usage:
            return prices["audio_minute"] * Decimal(str(usage["seconds"])) / 60
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        counts = {
            "input": usage["prompt_tokens"] - cached,
            "output": usage.get("completion_tokens", 0),
            "cached_input": cached,
        }
        return sum((prices[kind] * count / MILLION for kind, count in counts.items() if count), Decimal(0))

    def _make_handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the inner class has a self
        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                asked = Asked(self.path, self.headers, _read_body(self.headers["content-type"], content))
                answer = server.respond(asked)
                if answer.reset:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    self.rfile.close()
                    self.connection.close()
                    return
                encoded = answer.encode()
                self.send_response(answer.status)
                self.send_header("content-type", answer.content_type)
                self.send_header("content-length", str(len(encoded)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, *_: Any) -> None:
                pass

        return Answering


def _list_requests(asked: Asked) -> list[str]:
    """List what one might have paid for before: each text that is embedded is one."""
    if isinstance(texts := asked.body.get("input"), list):
        return [f"{asked.path} {text}" for text in texts]
    spelled = json.dumps([asked.path, asked.body], sort_keys=True, default=lambda raw: raw.hex())
    return [hashlib.sha256(spelled.encode()).hexdigest()]


def _read_body(content_type: str, content: bytes) -> dict[str, Any]:
    if content_type.startswith("application/json"):
        return json.loads(content)
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + content)
    fields = {}
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        raw = part.get_payload(decode=True)
        fields[name] = raw if part.get_filename() else raw.decode()
        if part.get_filename():
            fields["file_name"], fields["file_type"] = part.get_filename(), part.get_content_type()
    return fields
