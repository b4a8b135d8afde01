"""The handler `audio_transcribe`: what is said in a sound file, by a model."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from handlers.base import Handler
from handlers.inputs import File, find_file
from handlers.model_endpoint import BELONGS_TO, FROM_ENVIRONMENT, count_seconds_left
from handlers.templates import AddressTemplate, render
from handlers.transcribing import Sound, TranscribingParams, transcribe
from net.shown import show_url
from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp, Outcome, Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext

MIB = 2**20


class AudioTranscribe(Handler):
    """
    Transcribe a sound file, by the transcriptions of any OpenAI-compatible endpoint.

    A file that was transcribed before with the same parameters is not sent again and costs nothing.

    Input: the template `url`, else the file of a needed result, such as that of `feed_enclosure`, else the item's
    `data["audio_url"]`. Result: `{"text", "language", "duration_seconds", "segments", "model"}`: with
    `timestamps` the segments are `{"start_seconds", "end_seconds", "text"}`, else none; the language and the
    duration are None where the endpoint does not tell them.
    Endings: Skip without a sound; GiveUp when the needed results have no file, it is gone or larger than `max_bytes`,
    or the endpoint refuses the key, the model or the file; RetryLater when the endpoint is busy (429) or the account
    out of money. No connection, a time-out, 5xx or an answer that is none raise an error, for the stage's retries.
    Idempotent: the same file has the same transcript, because the first is remembered.
    Example: {handler: audio_transcribe, params: {model: whisper-1, timestamps: true}, timeout: 1h}

    Source: platform.openai.com/docs/api-reference/audio.
    """

    TIMEOUT = "30m"
    from_environment: ClassVar = FROM_ENVIRONMENT
    belongs_to: ClassVar = BELONGS_TO

    class Params(TranscribingParams):
        """The parameters of `audio_transcribe`."""

        url: AddressTemplate | None = Field(None, description="Where the sound is, a template.")
        file_from: str | None = Field(
            None, description="The needed stage whose file is taken; by default the nearest that has one."
        )
        max_bytes: int = Field(
            25 * MIB,
            ge=1,
            le=1024 * MIB,
            description="A larger file is given up; many endpoints take 25 MiB.",
        )

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Find the sound, and have it transcribed."""
        sound = await self._find_sound(context)
        return await transcribe(context, self.params, sound) if isinstance(sound, Sound) else sound

    async def _find_sound(self, context: HandlerContext) -> Sound | Skip | GiveUp:
        if self.params.url is not None:
            url = render(self.params.url, context, self.params)
            return url if isinstance(url, GiveUp) else await self._download(context, url)
        found = find_file(context, self.params.file_from)
        if isinstance(found, File):
            return self._read(found)
        address = context.data.get("audio_url")
        if isinstance(found, Skip) and isinstance(address, str) and address and not self.params.file_from:
            return await self._download(context, address)
        return found

    def _read(self, file: File) -> Sound | GiveUp:
        if file.size > self.params.max_bytes:
            return GiveUp(
                f"{file.name!r} has {file.size:,} bytes, more than max_bytes ({self.params.max_bytes:,})"
            )
        return Sound(file.body if file.path is None else file.path.read_bytes(), file.name)

    async def _download(self, context: HandlerContext, url: str) -> Sound | GiveUp:
        with TemporaryFile() as file:
            try:
                await context.http.download(
                    url, file, max_bytes=self.params.max_bytes, total_seconds=count_seconds_left(context)
                )
            except SourceRejectedError as error:
                return GiveUp(str(error))
            file.seek(0)
            content = file.read()
        name = show_url(url).partition("?")[0].rstrip("/").rpartition("/")[2]
        return Sound(content, name or "audio")
