"""A genotype: the choices that make one network, as plain data."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import wrap
from typing import Any

__all__ = ["FORMAT", "Genotype"]

FORMAT, VERSION, MAX_CHARACTERS = "nas-lightning/genotype", 1, 1_000_000
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Genotype:
    """The choices that make one network of a search space.

    >>> Genotype.of("toy", {"b": "skip", "a": "conv"}).choices
    (('a', 'conv'), ('b', 'skip'))
    >>> print(Genotype.of("toy", {"cell/b": "skip", "cell/a": "conv", "depth": "2"}))
    genotype 75c962f2c56c of space toy
      depth=2
      cell: a=conv b=skip
    """

    space: str  # its name, e.g. "darts"
    choices: tuple[tuple[str, str], ...]  # (decision, option), sorted; the active decisions alone
    drawing: str | None = field(default=None, compare=False, repr=False)  # SVG for a notebook

    @classmethod
    def of(cls, space: str, choices: Mapping[str, str]) -> "Genotype":
        """Returns the genotype with these choices."""
        return cls(space, tuple(sorted(choices.items())))

    @cached_property
    def mapping(self) -> dict[str, str]:
        """The option by decision; not to be changed."""
        return dict(self.choices)

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical JSON of space and choices."""
        content = {"space": self.space, "choices": self.mapping}
        return hashlib.sha256(CANONICAL.encode(content).encode()).hexdigest()[:12]

    def _repr_svg_(self) -> str | None:
        return self.drawing

    def __str__(self) -> str:
        """Returns its id and space, and the choices, a line per group of names, e.g. a cell."""
        groups: dict[str, list[str]] = {}
        for name, option in self.choices:
            group, _, short = name.partition("/") if "/" in name else ("", "", name)
            groups.setdefault(group, []).append(f"{short}={option}")
        lines = [f"genotype {self.id} of space {self.space}"]
        for group in sorted(groups):
            text = " ".join([f"{group}:"] * bool(group) + groups[group])
            lines += wrap(text, 88, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    def to_json(self, provenance: Mapping[str, Any] | None = None) -> str:
        """Returns the text of a genotype file; `provenance` is plain data, ignored on reading."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "space": self.space,
            "choices": self.mapping,
            "id": self.id,
            "provenance": dict(provenance or {}),
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Reads the text of a genotype file; nothing in it is evaluated.

        Whether the choices are possible is checked by `SearchSpace.validate`.

        Raises: ValueError: the text is not a genotype file of this version, or its id is wrong.
        """
        content = _parse(text)
        form, version = content.get("format"), content.get("version")
        if form != FORMAT:
            raise ValueError(f"a genotype file has format '{FORMAT}', got {_short(form)}")
        if version != VERSION or isinstance(version, bool):
            raise ValueError(
                f"genotype version {_short(version)} is unknown; this release reads version "
                f"{VERSION}"
            )
        space, choices = content.get("space"), content.get("choices")
        if not isinstance(space, str) or not isinstance(choices, dict):
            raise ValueError("a genotype file needs 'space' (text) and 'choices' (an object)")
        for name, option in choices.items():
            if not isinstance(option, str):
                raise ValueError(f"the choice of {_short(name)} must be text, got {_short(option)}")
        genotype = cls.of(space, choices)
        if content.get("id", genotype.id) != genotype.id:
            raise ValueError(
                f"the file's id is {_short(content['id'])}, but its choices have id "
                f"'{genotype.id}': the file was changed; delete its 'id' to accept it"
            )
        return genotype


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"a genotype file has at most {MAX_CHARACTERS:,} characters, got {len(text):,}"
        )
    try:
        content = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("the genotype file is nested too deeply to be one") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the genotype file is not valid JSON (truncated?): {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"a genotype file holds a JSON object, got {_short(content)}")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the genotype file names {_short(twice)} twice")
    return dict(pairs)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
