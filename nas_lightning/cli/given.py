"""What a call in Python gives for a group: the name of an option, or an object in its place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from nas_lightning.cli.resume import quoted
from nas_lightning.config.paths import config_dir
from nas_lightning.core.checks import one_of
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy
from nas_lightning.search_spaces.custom import CustomSpace

__all__ = ["Given", "not_in_a_file", "read_given"]


@dataclass(frozen=True)
class Given:
    """What was given, as a command understands it.

    Attributes:
        overrides: what would be typed.
        objects: by group an object in place of its configuration; of data also arrays for it.
        names: by group what a run calls the object that takes the place of its configuration.
        space: the search space of an object; a child is not loaded by what a file names.
    """

    overrides: tuple[str, ...] = ()
    objects: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    space: SearchSpace | None = None

    def check(self, overrides: Sequence[str]) -> None:
        """Refuses overrides of a group that an object takes the place of.

        Raises:
            ValueError: there is one.
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
        for group, name in self.names.items():
            with open_dict(cfg), open_dict(settings):
                target = f"{not_in_a_file.__module__}.{not_in_a_file.__qualname__}"
                cfg[group] = {"_target_": target, "group": group, "name": name}
                OmegaConf.update(settings, f"hydra.runtime.choices.{group}", name)


def not_in_a_file(group: str, name: str) -> None:
    """Stands in the configuration for an object that was given from Python.

    Raises:
        ValueError: always; the object cannot be made again from a file.
    """
    raise ValueError(
        f"{group} ({name}) was given to this run from Python as an object; give it again: "
        f"nl.search({group}=..., folder=RUN_DIR, resume=True) resumes it, nl.load_child(RUN_DIR, "
        "space) loads its child"
    )


def read_given(groups: Mapping[str, Any]) -> Given:
    """Returns what was given for each group.

    Args:
        groups: by group the name of an option, an object, or None for the default.

    Raises:
        ValueError: there is no option of that name, or no object of that kind can be taken.
    """
    readers: dict[str, Callable[[Any], Given]] = {
        "data": _data,
        "search_space": _search_space,
        "strategy": _strategy,
    }
    parts = []
    for group, value in groups.items():
        is_path = group == "data" and isinstance(value, str) and value not in _options(group)
        if isinstance(value, str) and not (is_path and Path(value).expanduser().exists()):
            one_of(group, value, _options(group))
            parts.append(Given((f"{group}={value}",)))
        elif value is not None and group in readers:
            parts.append(readers[group](value))
        elif value is not None:
            raise ValueError(
                f"{group} ({value!r}) must be the name of an option: {', '.join(_options(group))}; "
                f'set its values by overrides=["{group}.KEY=VALUE"]'
            )
    return Given(
        tuple(override for part in parts for override in part.overrides),
        {group: made for part in parts for group, made in part.objects.items()},
        {group: name for part in parts for group, name in part.names.items()},
        next((part.space for part in parts if part.space is not None), None),
    )


def _options(group: str) -> list[str]:
    """Returns the options of a group in the order of the alphabet."""
    folder = config_dir() / group
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")]
    return sorted(name for name in names if not name.startswith("_"))


def _data(value: Any) -> Given:
    if isinstance(value, str | Path):
        path = Path(value).expanduser()
        if not path.exists():
            raise ValueError(f"data: there is no file or folder {path}; give what is there")
        return Given(("data=folder", f"data.path={quoted(path.resolve())}"))
    if isinstance(value, L.LightningDataModule):
        return Given((), {"data": value}, {"data": type(value).__name__})
    parts = list(value) if isinstance(value, tuple | list) else []
    if len(parts) == 2 and all(isinstance(part, tuple) and len(part) == 2 for part in parts):
        parts = [*parts[0], *parts[1]]
    if len(parts) not in (2, 4):
        raise ValueError(
            f"data ({type(value).__name__}) must be the name of an option, a path, a "
            "LightningDataModule, or arrays: (x, y) or (x, y, x_test, y_test)"
        )
    x, y, *test = parts
    arrays = {"x": x, "y": y, "test": tuple(test) or None}
    return Given(("data=arrays",), {"data": arrays})


def _search_space(value: Any) -> Given:
    is_class = isinstance(value, type) and issubclass(value, SearchSpace)
    if is_class or isinstance(value, SearchSpace):
        value = value() if is_class else value
        return Given((), {"search_space": value}, {"search_space": value.name}, value)
    if not callable(value) or isinstance(value, nn.Module):
        raise ValueError(
            f"search_space ({type(value).__name__}) must be the name of an option, a SearchSpace, "
            "or a class or function that builds a module with OneOf, Optional or Repeat"
        )
    space = CustomSpace(value)
    if path := _path_of(value):
        overrides = ("search_space=custom", f"search_space.network._target_={path}")
        return Given(overrides, space=space)
    return Given((), {"search_space": space}, {"search_space": space.name}, space)


def _strategy(value: Any) -> Given:
    if not callable(value) or isinstance(value, OneShotStrategy | BlackBoxStrategy):
        raise ValueError(
            f"strategy ({type(value).__name__}) must be the name of an option, a class, or what "
            "makes one from a space and a seed, e.g. functools.partial(nl.Darts, epochs=3)"
        )
    kind = value.func if isinstance(value, partial) else value
    name = getattr(kind, "__name__", type(kind).__name__)
    return Given((), {"strategy": value}, {"strategy": name})


def _path_of(value: Any) -> str | None:
    """Returns the dotted path that imports a class or function again; None if there is none."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<none>")
    if not module or module == "__main__" or "<" in name:
        return None
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}.{name}" if found is value else None
