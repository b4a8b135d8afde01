"""From pages to messages, by way of a model whose endpoint fails and throttles."""

from __future__ import annotations

import importlib
import json
import random
import re
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from conftest import House

PAGES, TWINS, COPIES = 200, 20, 5

JOBS = """
version: 1
hosts:
  127.0.0.1: {{rate: 1000/s}}
defaults: {{retries: 10, backoff: 200ms}}
jobs:
  news:
    discovery: {{strategy: manual, items: {items}}}
    stages:
      - {{name: fetch, handler: fetch, params: {{robots: false}}}}
      - {{name: article, handler: article}}
      - name: llm_extract
        handler: llm_extract
        params:
          model: gpt-4o-mini
          provider: openai
          fields: {{company: Whom it is about, amount: {{type: integer, required: true}}}}
      - name: embed
        handler: embed
        needs: [article, llm_extract]
        params: {{model: text-embedding-3-small, provider: openai, text_from: article}}
      - {{name: dedupe, handler: dedupe, needs: [article, embed], params: {{text_from: article}}}}
      - name: notify
        handler: notify
        needs: [llm_extract, dedupe]
        params:
          message: "{{{{ item.url }}}} is about {{{{ results.llm_extract.fields.company }}}}"
          webhook: "{hook}"
"""


@pytest.fixture
def model_server(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give the module of the model endpoint that the tests of handlers use too."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "handlers")
    return importlib.import_module("model_server")


class Site:
    """Pages of which some are nearly, and some exactly, like others; and a hook that takes messages."""

    def __init__(self) -> None:
        self.hooked: list[str] = []
        shuffled = random.Random(7)
        words = ["".join(shuffled.choices("aeioubdklmnrst", k=shuffled.randint(3, 9))) for _ in range(900)]
        self.texts = [" ".join(shuffled.choices(words, k=400)) for _ in range(PAGES)]
        for twin in range(TWINS):
            self.texts[PAGES - 1 - twin] = self.texts[twin].rpartition(" ")[0] + " otherwise"
        self.texts += self.texts[TWINS : TWINS + COPIES]

    def company(self, number: int) -> str:
        if number >= PAGES:
            return self.company(number - PAGES + TWINS)
        twin = PAGES - 1 - number
        return f"Acme {twin if twin < TWINS else number}"

    def page(self, number: int) -> str:
        half = len(self.texts[number]) // 2
        paragraphs = [self.texts[number][:half], self.texts[number][half:], f"About: {self.company(number)}."]
        body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        return f"<html lang=en><head><title>Page</title></head><body><article>{body}</article></body></html>"

    @contextmanager
    def serve(self) -> Iterator[str]:
        site = self

        class Serving(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(site.page(int(self.path.rpartition("/")[2])).encode())

            def do_POST(self) -> None:
                note = json.loads(self.rfile.read(int(self.headers["content-length"])))
                site.hooked.append(note["text"])
                self.reply(b"ok")

            def reply(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Serving) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()


def extract(body: dict[str, Any]) -> str:
    """Answer as a model would; every eleventh answer has to be asked for twice."""
    company = re.search(r"About: (Acme (\d+))", body["messages"][1]["content"])
    amount = int(company[2])
    is_first = len(body["messages"]) == 2
    return json.dumps({"company": company[1], "amount": "many" if is_first and amount % 11 == 0 else amount})


@pytest.mark.timeout(600)
def test_two_hundred_pages_go_through_a_model_that_fails_and_throttles_and_each_answer_is_paid_once(
    house: House, model_server: ModuleType
) -> None:
    site = Site()
    with site.serve() as address, model_server.ModelServer(fail_every=10, throttle_every=75) as model:
        model.answer = extract
        house.environment |= {
            "CELERIAC_ALLOW_HOSTS": "127.0.0.1,localhost",
            "OPENAI_API_KEY": model_server.KEY,
            "OPENAI_BASE_URL": model.url.replace("127.0.0.1", "localhost"),
        }

        def look_at(pages: int) -> None:
            items = [
                {"key": f"page-{number}", "data": {"url": f"{address}/{number}"}} for number in range(pages)
            ]
            house.write_jobs(JOBS.format(items=json.dumps(items), hook=f"{address}/hook"))
            found = house.celeriac("discover", "news")
            assert found.returncode == 0, found.stderr
            house.wait(lambda: house.count("SELECT count(*) FROM work_items") == pages)
            house.wait(lambda: house.unfinished() == 0)

        house.start_worker()
        house.start_beat()
        look_at(PAGES)

        assert house.count("SELECT count(*) FROM item_stages WHERE status = 'failed'") == 0
        assert model.spoiled["failed"] > 30
        assert model.spoiled["throttled"] > 3
        check_costs(house, model)
        assert house.count(SKIPPED_TWINS) == TWINS
        assert len(site.hooked) == PAGES - TWINS
        about = dict(re.search(r"/(\d+) is about (.*)", text).groups() for text in site.hooked)
        assert all(site.company(int(number)) == company for number, company in about.items())
        assert len(about) == PAGES - TWINS

        charged, asked = model.charged, len(model.asked)
        look_at(PAGES + COPIES)
        assert (model.charged, len(model.asked)) == (charged, asked)
        assert house.count(SKIPPED_TWINS) == TWINS + COPIES
        assert house.count("SELECT count(*) FROM results WHERE stage = 'embed'") == PAGES + COPIES
    assert model_server.KEY.encode() not in b"".join(
        path.read_bytes() for path in house.directory.rglob("*") if path.is_file()
    )


SKIPPED_TWINS = """
SELECT count(*) FROM item_stages WHERE stage = 'dedupe' AND status = 'skipped' AND reason LIKE 'nearly the same text%'
"""


def check_costs(house: House, model: Any) -> None:
    """Compare what the tracker has on record with what the endpoint charged."""
    assert Counter(model.paid.values()).keys() == {1}
    assert house.count("SELECT count(*) FROM costs WHERE usd IS NULL") == 0
    billionths = house.count("SELECT round(sum(usd) * 1e9) FROM costs")
    assert billionths == pytest.approx(float(model.charged) * 1e9, abs=2)
    assert model.charged > 0


BATCHED = """
version: 1
jobs:
  words:
    first_run_max: null
    discovery: {{strategy: manual, items: {items}}}
    stages:
      - name: embed
        handler: embed
        params: {{model: text-embedding-3-small, provider: openai, input: "{{{{ item.text }}}}"}}
        batch: 100
"""


@pytest.mark.timeout(600)
def test_a_thousand_texts_are_embedded_in_ten_requests_and_a_poisoned_one_fails_alone(
    house: House, model_server: ModuleType
) -> None:
    texts = [f"The root number {number} keeps through the winter." for number in range(1000)]
    with model_server.ModelServer() as model:
        model.poison = "venom"
        house.environment |= {
            "CELERIAC_ALLOW_HOSTS": "127.0.0.1",
            "OPENAI_API_KEY": model_server.KEY,
            "OPENAI_BASE_URL": model.url,
        }

        def embed(texts: list[str]) -> None:
            items = [{"key": text[:80], "data": {"text": text}} for text in texts]
            house.write_jobs(BATCHED.format(items=json.dumps(items)))
            found = house.celeriac("discover", "words")
            assert found.returncode == 0, found.stderr
            house.wait(lambda: house.settled() == len(texts))

        house.start_worker()
        house.start_beat()
        embed(texts)
        assert [len(asked.body["input"]) for asked in model.asked] == [100] * 10
        assert house.count("SELECT count(*) FROM results") == 1000
        check_costs(house, model)

        more = [f"The leaf number {number} has gone." for number in range(100)]
        more[37] = "A drop of venom."
        embed(texts + more)
        assert house.count("SELECT count(*) FROM results") == 1099
        failed = "SELECT count(*) FROM item_stages JOIN work_items USING (item_id) WHERE item_stages.status = 'failed'"
        assert house.count(failed) == 1
        assert house.count(f"{failed} AND key = 'A drop of venom.'") == 1
        check_costs(house, model)
