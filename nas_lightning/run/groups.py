"""Which runs belong together: what they were asked, and by which configuration."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from nas_lightning.reports.metric import metric_of
from nas_lightning.run.folder import RESULT, RunFolder
from nas_lightning.run.sweep import by_key

__all__ = ["Member", "asked", "grouped", "once_per_seed"]

NAMED = ("search_space", "strategy", "data")  # told of every group, whether typed or not
# What sets no two runs apart: seeds are what a group repeats, the others change no result. Where
# data lie says nothing of what they are.
UNTOLD = ("seed", "callbacks", "logger", "export", "verdict", "data.path")
MOST_KEYS = 3  # of those that nobody typed, in the name of a group


@dataclass(frozen=True)
class Member:
    """A finished run of a comparison.

    Attributes:
        folder: its folder.
        result: the content of its result.json.
        settings: what may change its result, by dotted key: the composed configuration.
        shape: its inputs and outputs, e.g. "1x8x8 inputs, 10 classes", as far as it noted them.
    """

    folder: RunFolder
    result: Mapping[str, Any]
    settings: Mapping[str, Any]
    shape: str

    @classmethod
    def of(cls, folder: RunFolder, result: Mapping[str, Any]) -> "Member":
        """Returns the run in a folder.

        Raises: ValueError, OSError: one of its files is broken.
        """
        return cls(folder, result, _settings(folder), _shape(folder, result))

    @property
    def path(self) -> Path:
        """Its folder's path."""
        return self.folder.path

    @property
    def kind(self) -> str:
        """Strategy and space, e.g. "darts on nasbench201"."""
        named = [str(self.result[key]) for key in ("strategy", "space") if self.result.get(key)]
        return " on ".join(named)

    @property
    def identity(self) -> str:
        """A text that is the same for runs of the same configuration."""
        return json.dumps([self.kind, sorted(self.settings.items())], default=str)


def asked(members: Sequence[Member]) -> dict[str, list[Member]]:
    """Returns the runs by what they were asked: the metric, and the data it was measured on.

    Data of another name, shape of inputs, number of outputs or kind of targets are other data.
    """
    questions: dict[tuple[str, str], list[Member]] = {}
    for member in members:
        questions.setdefault((_words(member), member.shape), []).append(member)
    words = [question for question, _ in questions]
    return {
        f"{question} ({shape})" if words.count(question) > 1 else question: group
        for (question, shape), group in questions.items()
    }


def grouped(members: Sequence[Member]) -> dict[str, list[Member]]:
    """Returns by name the runs whose composed configuration differs in nothing but the seed.

    A name has strategy and space, then what somebody typed and is not the same in all groups.
    """
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.identity, []).append(member)
    firsts = [group[0] for group in groups.values()]
    names = _names(firsts, _typed_keys(members, firsts))
    return dict(zip(names, groups.values(), strict=True))


def once_per_seed(members: Sequence[Member]) -> tuple[list[Member], list[Member]]:
    """Returns the run of each seed that finished last, and those that it stands for.

    Runs of one seed draw the same numbers: they are no independent ones.
    """
    by_seed: dict[Any, list[Member]] = {}
    for member in sorted(members, key=lambda each: (each.path / RESULT).stat().st_mtime):
        by_seed.setdefault(member.result.get("seed"), []).append(member)
    return (
        sorted((repeated[-1] for repeated in by_seed.values()), key=_seed),
        [member for repeated in by_seed.values() for member in repeated[:-1]],
    )


def _seed(member: Member) -> int:
    return member.result.get("seed") or 0


def _words(member: Member) -> str:
    name = member.result.get("data_name") or member.result.get("data") or "data"
    return f"test {metric_of(member.result).words} on {name}"


def _settings(folder: RunFolder) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(folder.config)
    objects = folder.objects  # whose configuration says no more than a name
    content |= {group: objects[group] for group in objects if group != "data"}
    flat = {"command": folder.command, **_flat(content)}
    untold = set(UNTOLD)
    if content.get("max_seconds_in_all") is not None:  # which the verdict's children share
        untold.remove("verdict")
    return {key: value for key, value in flat.items() if not _is_of(key, untold)}


def _flat(content: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{start}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _shape(folder: RunFolder, result: Mapping[str, Any]) -> str:
    path = folder / "genotype.json"
    noted = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if not isinstance(noted, dict) or not isinstance(noted.get("provenance"), dict | None):
        raise ValueError(f"{path} must hold a genotype, got {noted!r:.40}")
    facts = {**(noted.get("provenance") or {}), **result}
    shape = "x".join(map(str, facts.get("input_shape") or ())) or "unknown"
    outputs, targets = facts.get("num_outputs") or "unknown", facts.get("targets") or "outputs"
    return f"{shape} inputs, {outputs} {targets}"


def _typed_keys(members: Sequence[Member], firsts: Sequence[Member]) -> list[str]:
    """Returns what somebody typed and is not the same in all groups."""
    typed = dict.fromkeys(key for member in members for key in by_key(member.folder.overrides))
    return [
        key for key in typed if key not in NAMED and _is_told(key, firsts) and _varies(key, firsts)
    ]


def _names(firsts: Sequence[Member], keys: Sequence[str]) -> list[str]:
    """Returns a name for each of these runs; those that would be alike get more keys."""
    names = [" ".join([member.kind, *_values(member, keys)]) for member in firsts]
    for name in {name for name in names if names.count(name) > 1}:
        alike = [place for place, each in enumerate(names) if each == name]
        some = [firsts[place] for place in alike]
        all_keys = dict.fromkeys(key for member in some for key in member.settings)
        more = [key for key in all_keys if _varies(key, some)][:MOST_KEYS]
        for number, place in enumerate(alike, 1):
            names[place] = " ".join([name, *_values(firsts[place], more)])
            if number > 1 and names[place] in names[:place]:
                names[place] += f" [{number}]"
    return names


def _values(member: Member, keys: Sequence[str]) -> list[str]:
    pairs = [(key, _value(member, key)) for key in keys]
    return [f"{key}={value}" for key, value in pairs if value is not None]


def _varies(key: str, members: Sequence[Member]) -> bool:
    return len({str(_value(member, key)) for member in members}) > 1


def _value(member: Member, key: str) -> Any:
    """Returns the value of a key, or the option of a group; None where a run has neither."""
    return member.settings[key] if key in member.settings else member.folder.choice(key)


def _is_told(key: str, members: Sequence[Member]) -> bool:
    return not _is_of(key, UNTOLD) or any(key in member.settings for member in members)


def _is_of(key: str, names: Iterable[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)
