"""What a call in Python gives for a group: the name of an option, or an object in its place."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from nas_lightning.cli.resume import quoted
from nas_lightning.config.help import options_of
from nas_lightning.core.checks import one_of
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy
from nas_lightning.search_spaces.custom import CustomSpace

__all__ = ["Given", "not_in_a_file", "typed_value"]

ARRAYS = ("x", "y", "test")


class Given:
    """What was given for each group, as a command understands it.

    Args:
        groups: by group the name of an option, an object, or None for the default.

    Raises: ValueError: there is no option of that name, or an object is of the wrong kind.

    Attributes:
        overrides: what would be typed.
        objects: by group an object in place of its configuration; of data also arrays for it.
        names: by group what a run calls the object that takes the place of its configuration.
        space: the search space of an object; a child is not loaded by what a file names.
    """

    def __init__(self, groups: Mapping[str, Any]) -> None:
        self.overrides: list[str] = []
        self.objects: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.space: SearchSpace | None = None
        takes = {"data": self._data, "search_space": self._space, "strategy": self._strategy}
        for group, value in groups.items():
            options = list(options_of(group))
            is_path = group == "data" and isinstance(value, str) and value not in options
            if isinstance(value, str) and not (is_path and Path(value).expanduser().exists()):
                one_of(group, value, options)
                self.overrides.append(f"{group}={value}")
            elif value is not None and group in takes:
                takes[group](value)
            elif value is not None:
                raise ValueError(
                    f"{group} ({value!r}) must be the name of an option: {', '.join(options)}; "
                    f'set its values by overrides=["{group}.KEY=VALUE"]'
                )

    def check(self, overrides: Sequence[str]) -> None:
        """Refuses overrides of a group that an object takes the place of.

        Raises: ValueError: there is one.
        """
        for override in overrides:
            group = override.lstrip("+~").partition("=")[0].partition(".")[0]
            if group in self.names:
                raise ValueError(
                    f"overrides: {override} has no effect beside {group}={self.names[group]}, an "
                    "object; give the object this value, or the name of an option"
                )

    def put_into(self, cfg: DictConfig, settings: DictConfig) -> None:
        """Writes into a configuration that objects take the place of groups."""
        target = f"{not_in_a_file.__module__}.{not_in_a_file.__qualname__}"
        for group, name in self.names.items():
            with open_dict(cfg), open_dict(settings):
                cfg[group] = {"_target_": target, "group": group, "name": name}
                OmegaConf.update(settings, f"hydra.runtime.choices.{group}", name)

    def _replace(self, group: str, value: Any, name: str) -> None:
        self.objects[group], self.names[group] = value, name

    def _data(self, value: Any) -> None:
        if isinstance(value, L.LightningDataModule):
            self._replace("data", value, type(value).__name__)
        elif isinstance(value, str | Path):
            path = Path(value).expanduser()
            if not path.exists():
                raise ValueError(f"data: there is no file or folder {path}; give what is there")
            self.overrides += ["data=folder", f"data.path={quoted(path.resolve())}"]
        else:
            arguments = _arguments(value)
            self.objects["data"] = {key: arguments.pop(key) for key in ARRAYS if key in arguments}
            keys = [f"data.{key}={typed_value(each)}" for key, each in arguments.items()]
            self.overrides += ["data=arrays", *keys]

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
            self._replace("search_space", self.space, self.space.name)

    def _strategy(self, value: Any) -> None:
        if not callable(value) or isinstance(value, OneShotStrategy | BlackBoxStrategy):
            raise ValueError(
                f"strategy ({type(value).__name__}) must be the name of an option, a class, or "
                "what makes one from a space and a seed, e.g. functools.partial(nl.Darts, epochs=3)"
            )
        kind = value.func if isinstance(value, partial) else value
        self._replace("strategy", value, getattr(kind, "__name__", type(kind).__name__))


def not_in_a_file(group: str, name: str) -> None:
    """Stands in the configuration for an object that was given from Python.

    Raises: ValueError: always; the object cannot be made again from a file.
    """
    raise ValueError(
        f"{group} ({name}) was given to this run from Python as an object; give it again: "
        f"nl.search({group}=..., folder=RUN_DIR, resume=True) resumes it, nl.load_child(RUN_DIR, "
        "space) loads its child"
    )


def typed_value(value: Any) -> str:
    """Returns a value as it would be typed.

    >>> print(typed_value([None, True, 0.5, "c's"]))
    [null,true,0.5,"c's"]
    """
    if isinstance(value, list | tuple):
        return f"[{','.join(map(typed_value, value))}]"
    if isinstance(value, str | Path):
        return quoted(value)
    return "null" if value is None else str(value).lower()


def _arguments(value: Any) -> dict[str, Any]:
    """Returns the arguments of `data_of_arrays` that were given as tuple, list or mapping."""
    if isinstance(value, Mapping) and {"x", "y"} <= value.keys():
        return dict(value)
    parts = list(value) if isinstance(value, tuple | list) else []
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


def _path_of(value: Any) -> str | None:
    """Returns the dotted path that imports a class or function again; None if there is none."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<none>")
    if not module or module == "__main__" or "<" in name:
        return None
    there: Any = import_module(module)
    for part in name.split("."):
        there = getattr(there, part, None)
    return f"{module}.{name}" if there is value else None
