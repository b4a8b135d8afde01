from __future__ import annotations

import pytest
from model_answers import Canned
from model_server import KEY

from handlers.audio_transcribe import AudioTranscribe
from handlers.model_endpoint import MalformedAnswerError
from handlers.running import run_handler
from pipeline.outcomes import GiveUp, Skip

SOUND = bytes(range(256)) * 25 + b"\r\n--boundary--\r\n"


@pytest.fixture
def transcribe(endpoint, make_context):
    def run(*, context=None, **params):
        usual = {"base_url": endpoint.url, "api_key": KEY, "model": "whisper-1", "provider": "openai"}
        return run_handler(AudioTranscribe(usual | params), context or make_context())

    return run


@pytest.fixture
def with_sound(make_context):
    def make(name="talk.mp3", content_type="audio/mpeg", **more):
        pointer = make_context().artifact(name, SOUND, content_type)
        return make_context(results={"enclosure": {"bytes": 1, "file": pointer}}, **more)

    return make


def test_an_artifact_is_sent_byte_for_byte(endpoint, transcribe, with_sound):
    result = transcribe(context=with_sound(), language="en", prompt="Celeriac", temperature=0)
    assert endpoint.asked[0].body == {
        "model": "whisper-1",
        "response_format": "json",
        "language": "en",
        "prompt": "Celeriac",
        "temperature": "0.0",
        "file": SOUND,
        "file_name": "talk.mp3",
        "file_type": "audio/mpeg",
    }
    assert result == {
        "text": f"You have sent {len(SOUND)} bytes.",
        "language": None,
        "duration_seconds": None,
        "segments": [],
        "model": "whisper-1",
    }


def test_with_timestamps_the_segments_are_told(transcribe, with_sound):
    result = transcribe(context=with_sound(), timestamps=True)
    assert result["language"] == "english"
    assert result["duration_seconds"] == 64.0
    text = f"You have sent {len(SOUND)} bytes."
    assert result["segments"] == [{"start_seconds": 0.0, "end_seconds": 64.0, "text": text}]


def test_a_time_that_is_no_number_of_seconds_is_unknown(endpoint, transcribe, with_sound):
    segments = [{"start": start, "end": 1.5, "text": "Hello"} for start in (10**400, "nan", "soon", "1")]
    endpoint.canned.append(Canned(body={"text": "Hello", "segments": segments}))
    result = transcribe(context=with_sound(), timestamps=True)
    assert [segment["start_seconds"] for segment in result["segments"]] == [None, None, None, 1.0]


def test_an_address_is_fetched_and_sent(endpoint, httpserver, transcribe, make_context):
    httpserver.expect_request("/a/talk.ogg").respond_with_data(SOUND, content_type="audio/ogg")
    url = httpserver.url_for("/a/talk.ogg?token=secret")
    transcribe(context=make_context(data={"audio_url": url}))
    transcribe(context=make_context(data={"where": url}), url="{{ item.where }}", language="de")
    assert [asked.body["file"] for asked in endpoint.asked] == [SOUND, SOUND]
    assert endpoint.asked[0].body["file_name"] == "talk.ogg"


def test_the_same_sound_is_paid_for_once_wherever_it_is_from(
    endpoint, httpserver, transcribe, with_sound, make_context
):
    spent = []
    httpserver.expect_request("/talk.mp3").respond_with_data(SOUND, content_type="audio/mpeg")
    first = transcribe(context=with_sound(record_cost=spent.append))
    url = httpserver.url_for("/talk.mp3")
    again = transcribe(context=make_context(data={"audio_url": url}, record_cost=spent.append))
    assert again == first
    assert len(endpoint.asked) == len(spent) == 1
    assert spent[0].usd == pytest.approx(float(endpoint.charged))
    assert endpoint.charged > 0
    assert spent[0].units == {"audio_seconds": 64}


def test_an_endpoint_that_only_tells_the_duration_is_paid_by_it(endpoint, transcribe, with_sound):
    spent = []
    endpoint.canned.append(Canned(body={"text": "A root.", "duration": "90.0"}))
    transcribe(context=with_sound(record_cost=spent.append), price={"audio_minute": 0.01})
    assert spent[0].usd == pytest.approx(0.015)


def test_tokens_of_sound_have_a_price_of_their_own(endpoint, transcribe, with_sound):
    spent = []
    details = {"text_tokens": 0, "audio_tokens": 1000}
    usage = {"type": "tokens", "input_tokens": 1000, "input_token_details": details, "output_tokens": 10}
    endpoint.canned.append(Canned(body={"text": "A root.", "usage": usage}))
    transcribe(context=with_sound(record_cost=spent.append), model="gpt-4o-transcribe")
    assert spent[0].usd == pytest.approx((1000 * 6 + 10 * 10) / 1e6)


def test_without_a_sound_nothing_is_asked(endpoint, transcribe, with_sound, make_context):
    assert isinstance(transcribe(context=make_context()), Skip)
    assert isinstance(transcribe(context=with_sound(), file_from="another"), Skip)
    no_file = make_context(results={"article": {"text": "A root."}}, data={"audio_url": "http://127.0.0.1/"})
    assert isinstance(transcribe(context=no_file), GiveUp)
    assert endpoint.asked == []


def test_a_sound_that_is_too_large_or_gone_is_given_up(
    endpoint, httpserver, transcribe, with_sound, make_context
):
    httpserver.expect_request("/talk.mp3").respond_with_data(SOUND)
    by_url = make_context(data={"audio_url": httpserver.url_for("/talk.mp3")})
    gone = {"artifact": f"sha256:{'0' * 64}", "name": "talk.mp3", "bytes": 1, "content_type": "audio/mpeg"}
    outcomes = [
        transcribe(context=with_sound(), max_bytes=100),
        transcribe(context=by_url, max_bytes=100),
        transcribe(context=make_context(results={"enclosure": {"file": gone}})),
    ]
    assert [type(outcome) for outcome in outcomes] == [GiveUp] * 3
    assert f"{len(SOUND):,} bytes, more than max_bytes (100)" in outcomes[0].reason
    assert endpoint.asked == []


def test_a_transcript_without_text_is_unexpected(endpoint, transcribe, with_sound):
    endpoint.canned.append(Canned(body={"task": "transcribe"}))
    with pytest.raises(MalformedAnswerError, match="no text"):
        transcribe(context=with_sound())
