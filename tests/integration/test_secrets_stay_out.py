"""Secrets that jobs.yaml names are nowhere that anything is kept, sent or said; searched for byte by byte."""

from __future__ import annotations

import base64
import json
import re
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from conftest import House

SECRETS = {"LEAKY_PASSWORD": 'S3cr/t "Wört"+42', "LEAKY": "f1le-held-v4lue"}
MARK = "in-plain-sight"
"""Stands beside the secrets wherever these are let slip: what is not found with it was not looked for."""

LEAKY = '''
import base64, json, logging, sys
from urllib.parse import quote
import structlog
from pydantic import SecretStr
from handlers.base import Handler, HandlerParams
from pipeline.outcomes import GiveUp, RetryLater, Skip

def spell(secret):
    yield from (secret, quote(secret, safe=""), json.dumps(secret), repr(secret))
    yield from (base64.b64encode(f"{user}:{secret}".encode()).decode() for user in ("me", "you", "them"))
    yield base64.b64encode(secret.encode()).decode()

class Leaky(Handler):
    """Lets its secrets slip in every way there is."""

    class Params(HandlerParams):
        how: str
        typed: SecretStr
        plain: str

    def run(self, context):
        secrets = [self.params.typed.get_secret_value(), self.params.plain]
        said = " ".join(["in-plain-sight", *(one for secret in secrets for one in spell(secret))])
        return getattr(self, self.params.how)(context, said)

    def raises(self, context, said):
        try:
            {}[said]
        except KeyError as error:
            error.add_note(said)
            raise RuntimeError(said) from error

    def logs(self, context, said):
        context.log.info(said, said=[said], secret={"deep": said})
        structlog.get_logger("mine").warning("look", said=said)
        logging.getLogger("theirs").warning("look %s", said)
        print(said)
        print(said, file=sys.stderr)
        try:
            raise ValueError(said)
        except ValueError:
            logging.getLogger("theirs").exception(said)
        return {}

    def skips(self, context, said):
        return Skip(said)

    def gives_up(self, context, said):
        return GiveUp(said)

    def comes_later(self, context, said):
        return RetryLater(3600, said)

    def spends(self, context, said):
        context.cost(0.5, said, model=said, price={"from": said, said: 1}, **{said: 3})
        return {}

    def keeps(self, context, said):
        context.artifact(said, b"nothing", content_type="text/plain")
        context.remember(said, {"answer": said})
        context.progress(1, 2, said)
        return {"said": said, said: [{"deep": said}]}

    def breaks_the_contract(self, context, said):
        return {"said": {1: said}, said: {said}}
'''

WAYS = ["raises", "logs", "skips", "gives_up", "comes_later", "spends", "keeps", "breaks_the_contract"]


def write_job(name: str, way: str, more: str = "") -> str:
    return f"""
  {name}:
    discovery: {{strategy: manual, items: [only]}}
    schedule: {{every: 1h}}
    stages:
      - name: work
        handler: leaky:Leaky
        params: {{how: {way}, typed: "Bearer ${{LEAKY_PASSWORD}}", plain: "${{LEAKY}}"}}
        retries: 0{more}
"""


def spell(secret: str) -> set[bytes]:
    texts = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
    texts |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    texts |= {base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]}
    for user in ("me:", "you:", "them:"):
        whole = base64.b64encode(f"{user}{secret}".encode()).decode().rstrip("=")
        texts.add(whole[-len(secret) : -1])  # well inside of what the secret alone decides
    return {text.encode() for text in texts}


@contextmanager
def listening(house: House) -> Iterator[list[bytes]]:
    """Write down every command that the broker is sent meanwhile."""
    heard: list[bytes] = []
    client = house.redis(socket_timeout=None)  # nothing may come for a while, on a busy machine
    with client.monitor() as monitor:

        def listen() -> None:
            with suppress(redis.RedisError, ValueError, OSError, AttributeError):
                while True:
                    heard.append(monitor.connection.read_response(disable_decoding=True))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield heard
        client.connection_pool.disconnect()
        thread.join(5)


def open_up(message: bytes) -> bytes:
    r"""Undo how the broker shows what it was sent (`\"`, `\xc3`), and add what is in base64, as bodies are."""
    said = message.decode("unicode_escape").encode("latin-1", "replace")
    bodies = re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", said)
    return b"\n".join([said, *(base64.b64decode(body + b"==") for body in bodies)])


def find_secrets(places: dict[str, bytes]) -> list[tuple[str, str]]:
    return [
        (place, spelled.decode())
        for place, content in places.items()
        for secret in SECRETS.values()
        for spelled in spell(secret)
        if spelled in content
    ]


def test_secrets_are_in_no_file_no_message_and_no_line_of_output(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    held = tmp_path_factory.mktemp("secrets") / "leaky"
    held.write_text(SECRETS["LEAKY"] + "\n")
    house.environment |= {"LEAKY_PASSWORD": SECRETS["LEAKY_PASSWORD"], "LEAKY_FILE": str(held)}
    house.write_module("leaky", LEAKY)
    near = [write_job(way.replace("_", "-"), way) for way in WAYS]
    far = [write_job(f"far-{way.replace('_', '-')}", way, "\n        remote: true\n        queue: far")
           for way in WAYS if way != "keeps"]  # fmt: skip
    house.write_jobs("version: 1\njobs:" + "".join(near + far))
    with listening(house) as heard:
        house.start_worker("near")
        house.start_worker("far", "--queues", "far")
        house.start_beat()
        ended = len(near) + len(far) - 2  # those that come later
        house.wait(lambda: house.settled() == ended)
        later = "SELECT count(*) FROM item_stages WHERE reason LIKE '%in-plain-sight%' AND status = 'pending'"
        house.wait(lambda: house.count(later) == 2)
    shown = house.celeriac("status", "--json").stdout + house.celeriac("events", "--json").stdout
    places = {
        str(path.relative_to(house.directory)): path.read_bytes()
        for path in house.directory.rglob("*")
        if path.is_file()
    }
    places |= {"messages": b"\n".join(open_up(one) for one in heard), "shown": shown.encode()}
    logged = [place for place in places if place.endswith(".log")]
    assert any(MARK.encode() in places[place] for place in logged)
    assert any(MARK.encode() in content for place, content in places.items() if "tracker.db" in place)
    assert MARK.encode() in places["messages"]
    assert find_secrets(places) == []
    assert house.count("SELECT count(*) FROM costs WHERE provider LIKE '%${LEAKY}%'") == 2
    assert house.count("SELECT count(*) FROM results WHERE result LIKE '%${LEAKY}%'") == 1
    assert house.count("SELECT count(*) FROM failures WHERE traceback LIKE '%${LEAKY}%'") == 2
    assert house.count("SELECT count(*) FROM item_stages WHERE reason LIKE '%${LEAKY}%'") >= 8
