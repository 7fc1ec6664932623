"""What a call in Python passes for a group: the name of an option, or an object in its place."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from nas_lightning.cli.resume import quoted
from nas_lightning.config.help import option_of, options_of, own_folders
from nas_lightning.config.making import OF_RUN, not_in_a_file
from nas_lightning.core.checks import one_of
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy
from nas_lightning.search_spaces.custom import CustomSpace

__all__ = ["GroupArguments", "typed_value"]

ARRAYS = ("x", "y", "test")
PLAIN = (bool, int, float, str, type(None))


class GroupArguments:
    """What was passed for each group, as a command understands it.

    Args:
        groups: by group the name of an option, an object, or None for the default.
        overrides: further settings; they may name folders of the user's own options.

    Raises: ValueError: there is no such option, an object is of the wrong kind, or an override
        contradicts what was passed.

    Attributes:
        overrides: what would be typed.
        objects: by group an object in place of its configuration; of data also arrays for it.
        names: by group what a run calls the object that takes the place of its configuration.
        identities: by group what tells its object from others; a resumed run's must be the same.
        space: the search space of an object; a child is not loaded by what a file names.
    """

    def __init__(self, groups: Mapping[str, Any], overrides: Sequence[str] = ()) -> None:
        self.overrides: list[str] = []
        self.objects: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.identities: dict[str, str] = {}
        self.space: SearchSpace | None = None
        takes = {"data": self._data, "search_space": self._space, "strategy": self._strategy}
        passed = {group: value for group, value in groups.items() if value is not None}
        for group, value in passed.items():
            options = list(options_of(group, own_folders(overrides)))
            if isinstance(value, str) and (value in options or not _is_path(group, value)):
                one_of(group, value, options)
                self.overrides.append(f"{group}={value}")
            elif group in takes:
                takes[group](value)
            elif group == "logger" and isinstance(value, list | tuple):
                self.overrides.append(f"logger=[{','.join(map(str, value))}]")
            else:
                raise ValueError(
                    f"{group} ({value!r}) must be the name of an option: {', '.join(options)}; "
                    f'set its values by overrides=["{group}.KEY=VALUE"]'
                )
        self._check(passed, overrides)

    def put_into(self, cfg: DictConfig, settings: DictConfig) -> None:
        """Writes into a configuration that objects take the place of groups."""
        target = f"{not_in_a_file.__module__}.{not_in_a_file.__qualname__}"
        for group, name in self.names.items():
            with open_dict(cfg), open_dict(settings):
                of_run = {
                    key: cfg[group][key] for key in OF_RUN.get(group, ()) if key in cfg[group]
                }
                cfg[group] = {"_target_": target, "group": group, "name": name, **of_run}
                OmegaConf.update(settings, f"hydra.runtime.choices.{group}", name)

    def _check(self, passed: Mapping[str, Any], overrides: Sequence[str]) -> None:
        """Refuses overrides that contradict an argument, or that its object would ignore."""
        for override in overrides:
            key = override.lstrip("+~").partition("=")[0]
            group, _, name = key.partition(".")
            if group in self.names and name not in OF_RUN.get(group, ()):
                raise ValueError(
                    f"overrides: {override} has no effect beside {group}={self.names[group]}, an "
                    "object; give the object this value, or the name of an option"
                )
            if group in passed and key in (group, f"{group}._target_"):
                raise ValueError(
                    f"overrides: {override} contradicts the argument {group}; leave one of them out"
                )

    def _replace(self, group: str, value: Any, name: str, identity: str) -> None:
        self.objects[group], self.names[group] = value, name
        self.identities[group] = identity

    def _data(self, value: Any) -> None:
        if isinstance(value, type) and issubclass(value, L.LightningDataModule):
            raise ValueError(
                f"data ({value.__name__}) must be a LightningDataModule, not its class; call it: "
                f"data={value.__name__}(...)"
            )
        if isinstance(value, L.LightningDataModule):
            name = type(value).__name__
            self._replace("data", value, name, name)
        elif isinstance(value, str | Path):
            path = Path(value).expanduser()
            if not path.exists():
                raise ValueError(f"data: there is no file or folder {path}; give what is there")
            self.overrides += ["data=folder", f"data.path={quoted(path.resolve())}"]
        else:
            arguments = _arguments(value)
            arrays = {key: arguments.pop(key) for key in ARRAYS if key in arguments}
            self.objects["data"] = arrays
            self.identities["data"] = f"arrays {_digest(arrays)}"
            self.overrides += ["data=arrays", *_keys("data", arguments)]

    def _space(self, value: Any) -> None:
        is_class = isinstance(value, type) and issubclass(value, SearchSpace)
        value = value() if is_class else value
        if not (isinstance(value, SearchSpace) or callable(value)) or isinstance(value, nn.Module):
            raise ValueError(
                f"search_space ({type(value).__name__}) must be the name of an option, a "
                "SearchSpace, or a class or function that builds a module with OneOf, Optional or "
                "Repeat"
            )
        self.space = value if isinstance(value, SearchSpace) else CustomSpace(value)
        if self.space is not value and (path := _path_of(value)):
            self.overrides += ["search_space=custom", f"search_space.network._target_={path}"]
        else:
            decisions = [(each.name, each.options) for each in self.space.decisions]
            identity = f"{self.space.name} {sha256(repr(decisions).encode()).hexdigest()[:12]}"
            self._replace("search_space", self.space, self.space.name, identity)

    def _strategy(self, value: Any) -> None:
        if not callable(value) or isinstance(value, OneShotStrategy | BlackBoxStrategy):
            raise ValueError(
                f"strategy ({type(value).__name__}) must be the name of an option, a class, or "
                "what makes one from a space and a seed, e.g. functools.partial(nl.Darts, epochs=3)"
            )
        kind = value.func if isinstance(value, partial) else value
        keywords = value.keywords if isinstance(value, partial) else {}
        path = f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"
        has_more = isinstance(value, partial) and value.args
        option = None if has_more else option_of("strategy", path)
        if option and all(map(_is_plain, keywords.values())):  # the same as a command's words
            self.overrides += [f"strategy={option}", *_keys("strategy", keywords)]
            return
        name = getattr(kind, "__name__", type(kind).__name__)
        arguments = ", ".join(f"{key}={keywords[key]!r}" for key in sorted(keywords))
        self._replace("strategy", value, name, f"{name}({arguments})")


def typed_value(value: Any) -> str:
    """Returns a value as it would be typed.

    Raises: ValueError: it is no plain value, list or mapping of them.

    >>> print(typed_value([None, True, 0.5, "c's"]))
    [null,true,0.5,"c's"]
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        pairs = [f"{key}:{typed_value(each)}" for key, each in value.items()]
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(typed_value, value))}]"
    if isinstance(value, str | Path):
        return quoted(value)
    if not isinstance(value, PLAIN):
        raise ValueError(
            f"a setting must be a plain value, got {type(value).__name__}; write it so"
        )
    return "null" if value is None else str(value).lower()


def _keys(group: str, values: Mapping[str, Any]) -> list[str]:
    """Returns values of a group as overrides; those of a mapping one by one."""
    typed: list[str] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            typed += _keys(f"{group}.{key}", value)
        else:
            typed.append(f"{group}.{key}={typed_value(value)}")
    return typed


def _arguments(value: Any) -> dict[str, Any]:
    """Returns the arguments of `data_of_arrays` that were passed as tuple, list or mapping."""
    if isinstance(value, Mapping) and {"x", "y"} <= value.keys():
        return dict(value)
    is_named = isinstance(value, Mapping) and len(value) > 1
    if is_named or hasattr(value, "features"):  # arrays by name, or a `Dataset`
        return {"x": value}
    parts = list(value) if isinstance(value, tuple | list) else []
    if len(parts) == 2 and isinstance(parts[1], str) and hasattr(parts[0], "columns"):
        frame, label = parts
        one_of("data, column", label, map(str, frame.columns))
        return {"x": frame.drop(columns=label).to_numpy(), "y": frame[label].to_numpy()}
    if len(parts) == 2 and all(isinstance(part, tuple) and len(part) == 2 for part in parts):
        parts = [*parts[0], *parts[1]]
    if len(parts) not in (2, 4):
        raise ValueError(
            f"data ({type(value).__name__}) must be the name of an option, a path, a "
            "LightningDataModule, or arrays: (x, y), (x, y, x_test, y_test), or a mapping such as "
            '{"x": x, "y": y, "kind": "signals"}'
        )
    x, y, *test = parts
    return {"x": x, "y": y, "test": tuple(test) or None}


def _digest(arrays: Any) -> str:
    """Returns 12 hex digits that stand for the content of arrays, at any depth.

    The content of a `Dataset` is left to the identity of the data.
    """
    if hasattr(arrays, "features"):
        return type(arrays).__name__
    is_named = isinstance(arrays, Mapping)
    arrays = list(arrays.values()) if is_named else arrays
    is_list = isinstance(arrays, tuple | list)
    if is_named or (is_list and any(hasattr(part, "shape") for part in arrays)):
        return sha256(" ".join(map(_digest, arrays)).encode()).hexdigest()[:12]
    whole = np.asarray(arrays.detach().cpu() if isinstance(arrays, torch.Tensor) else arrays)
    content = repr(whole.tolist()).encode() if whole.dtype == object else whole.tobytes()
    facts = f"{whole.dtype.str} {whole.shape}".encode()
    return sha256(facts + content).hexdigest()[:12]


def _is_path(group: str, value: str) -> bool:
    """Returns whether a text for the data is meant as a path: it exists, or looks like one."""
    looks = re.search(r"[/\\~.]", value) is not None
    return group == "data" and (looks or Path(value).exists())


def _is_plain(value: Any) -> bool:
    is_list = isinstance(value, list | tuple)
    return all(map(_is_plain, value)) if is_list else isinstance(value, PLAIN)


def _path_of(value: Any) -> str | None:
    """Returns the dotted path that imports a class or function again; None if there is none."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<none>")
    if not module or module == "__main__" or "<" in name:
        return None
    there: Any = import_module(module)
    for part in name.split("."):
        there = getattr(there, part, None)
    return f"{module}.{name}" if there is value else None
