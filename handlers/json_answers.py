"""Ask a model for JSON that fits a schema, with one more try when it does not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from pydantic import Field

from handlers.chat import Answer, ChatParams, ask
from handlers.contract import find_json_fault
from pipeline.outcomes import GiveUp, RetryLater

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from handlers.base import HandlerContext
    from handlers.chat import Message

Schema = dict[str, Any]

SHOWN_FAULTS = 5
SHOWN_CHARS = 2_000
"""So much of each answer that does not fit stands in the reason for giving up."""

_FENCED = re.compile(r"\A\s*```[a-zA-Z]*\n(.*?)\n?```\s*\Z", re.DOTALL)


class JsonParams(ChatParams):
    """How to ask for JSON."""

    answer_format: Literal["json_schema", "json_object", "text"] = Field(
        "json_schema",
        description="How the endpoint is asked for JSON, by the names of the API; with the last two the schema is "
        "put into the prompt.",
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer has to be: a schema, its name, and whether the endpoint can hold the model to it strictly."""

    schema: Schema
    name: str
    strict: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """A value that fits, and the answer that it stood in."""

    value: Any
    answer: Answer


def check_schema(schema: Schema) -> Schema:
    """Give a JSON Schema back, or raise ValueError for one that is none or that refers to another place."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"no JSON Schema: {_locate(error)}: {error.message[:200]}") from None
    for reference in _list_values(schema, {"$ref", "$dynamicRef"}):
        if not reference.startswith("#"):
            raise ValueError(f"a schema stands alone: it cannot refer to {reference[:100]!r}")
        if not _leads_somewhere(schema, unquote(reference[1:])):
            raise ValueError(f"a schema refers to what is not in it: {reference[:100]!r}")
    return schema


def _leads_somewhere(schema: Any, fragment: str) -> bool:
    """
    Tell whether a reference's fragment, a JSON pointer or the name of an anchor, is that of a part of a schema.

    Source: RFC 6901; JSON Schema 2020-12, 8.2, json-schema.org.
    """
    if fragment and not fragment.startswith("/"):
        anchors = {anchor for key in ("$anchor", "$dynamicAnchor") for anchor in _list_values(schema, {key})}
        return fragment in anchors
    if _list_values(schema, {"$id"}):
        return True  # then it may be one of a part
    for step in fragment.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list):
            schema = (
                schema[int(name)] if re.fullmatch(r"[0-9]{1,6}", name) and int(name) < len(schema) else None
            )
        else:
            schema = schema.get(name) if isinstance(schema, dict) else None
    return schema is not None


async def ask_for_json(
    context: HandlerContext, params: JsonParams, messages: Sequence[Message], wanted: Wanted
) -> Fit | GiveUp | RetryLater:
    """
    Ask until the answer fits, twice at most; the second time the model is told what was wrong.

    GiveUp with the start of both answers when neither fits, and as `ask` does; raises as that does.
    """
    asked = [*messages, *_explain(params, wanted)]
    response_format = _choose_format(params, wanted)
    first = await ask(context, params, asked, response_format)
    if not isinstance(first, Answer):
        return first
    value, fault = read_json(first.text, wanted.schema)
    if not fault:
        return Fit(value, first)
    context.log.info("the answer does not fit; asking again", fault=fault)
    repair = f"That does not fit: {fault}. Answer again, with the corrected JSON alone."
    again = [{"role": "assistant", "content": first.text}, {"role": "user", "content": repair}]
    second = await ask(context, params, [*asked, *again], response_format)
    if not isinstance(second, Answer):
        return second
    value, fault = read_json(second.text, wanted.schema)
    return GiveUp(_tell_both(fault, first, second)) if fault else Fit(value, second)


def read_json(text: str, schema: Schema) -> tuple[Any, str]:
    """
    Read an answer as JSON, also from a fenced block: the value, and what is wrong with it, or nothing.

    >>> read_json('{"age": "old"}', {"properties": {"age": {"type": "integer"}}})
    ({'age': 'old'}, "$.age: 'old' is not of type 'integer'")
    """
    fenced = _FENCED.match(text)
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return None, f"it is not JSON: {error}"
    if (fault := find_json_fault(value)) is not None:
        return None, fault
    try:
        errors = list(islice(Draft202012Validator(schema).iter_errors(value), SHOWN_FAULTS))
    except RecursionError:  # a schema that refers to itself, and an answer that goes along
        return value, "it is nested too deep"
    return value, "; ".join(f"{_locate(error)}: {error.message[:200]}" for error in map(_sharpen, errors))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _sharpen(error: ValidationError) -> ValidationError:
    """Take the likeliest reason from inside of an `anyOf` and the like."""
    return best_match([error]) or error


def _locate(error: ValidationError | SchemaError) -> str:
    return error.json_path


def _explain(params: JsonParams, wanted: Wanted) -> list[Message]:
    if params.answer_format == "json_schema":
        return []
    spelled = json.dumps(wanted.schema, ensure_ascii=False)
    told = f"Answer with one JSON value and nothing else. It must fit this JSON Schema:\n{spelled}"
    return [{"role": "user", "content": told}]


def _choose_format(params: JsonParams, wanted: Wanted) -> Mapping[str, Any] | None:
    if params.answer_format == "text":
        return None
    if params.answer_format == "json_object":
        return {"type": "json_object"}
    schema = {"name": wanted.name, "schema": wanted.schema, "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": schema}


def _tell_both(fault: str, first: Answer, second: Answer) -> str:
    shown = "\n".join(f"answered: {answer.text[:SHOWN_CHARS]}" for answer in (first, second))
    return f"the answer does not fit, twice: {fault}\n{shown}"


def _list_values(schema: Any, keys: Collection[str]) -> list[str]:
    """List the texts that stand under some keys, anywhere in a schema."""
    if isinstance(schema, dict):
        here = [inner for key, inner in schema.items() if key in keys and isinstance(inner, str)]
        return here + [each for inner in schema.values() for each in _list_values(inner, keys)]
    return (
        [each for inner in schema for each in _list_values(inner, keys)] if isinstance(schema, list) else []
    )
