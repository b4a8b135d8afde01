"""The template by which a job makes the keys of its items, when the strategy's own are not wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.problems import InvalidValueError, show_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Template

NAMES = ("key", "data", "source", "hash_url", "canonical_url")
"""What a template may use: the strategy's key, the item's data, its source, and two functions for addresses."""

ALLOWED = f"a template over {', '.join(NAMES)}, such as '{{{{ data.cik }}}}-{{{{ data.form }}}}'"


class KeyTemplateError(ValueError):
    """A template that cannot be applied to one item, such as for a field that it has not."""


class KeyTemplate:
    """A Jinja template in a sandbox; what is not there is an error, never an empty text."""

    def __init__(self, text: str, compiled: Template) -> None:
        self.text, self._compiled = text, compiled

    @classmethod
    def parse(cls, value: Any) -> KeyTemplate:
        """Compile a template. Raises `InvalidValueError` for one that does not parse or uses unknown names."""
        if isinstance(value, KeyTemplate):
            return value
        from jinja2 import StrictUndefined, TemplateError, meta  # noqa: PLC0415 - few jobs have a template
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

        if not isinstance(value, str) or "{{" not in value:
            raise InvalidValueError(f"{show_value(value)} is no template for keys", ALLOWED)
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        try:
            unknown = meta.find_undeclared_variables(environment.parse(value)) - set(NAMES)
            compiled = environment.from_string(value)
        except (TemplateError, SyntaxError, ValueError) as error:  # Jinja may make of it what is no Python
            raise InvalidValueError(f"not a template: {getattr(error, 'msg', error)}", ALLOWED) from error
        except RecursionError:
            raise InvalidValueError("not a template: nested too deep", ALLOWED) from None
        if unknown:
            raise InvalidValueError(f"a key cannot be made of {', '.join(sorted(unknown))}", ALLOWED)
        return cls(value, compiled)

    def render(self, key: str, data: dict[str, Any], source: str, **functions: Callable[..., str]) -> str:
        """Make the key of one item. Raises `KeyTemplateError`."""
        try:
            return self._compiled.render(key=key, data=data, source=source, **functions)
        except Exception as error:  # a template may raise whatever its expressions do
            raise KeyTemplateError(f"{type(error).__name__}: {error}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyTemplate) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text
