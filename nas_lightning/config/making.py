"""The only file that makes objects from configuration; every mistake is found before."""

import inspect
import logging
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import make_dataclass
from functools import partial
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.messages import OF_RUN, cure_of_type
from nas_lightning.config.sources import current_folder
from nas_lightning.core.checks import unknown_name

__all__ = [
    "OF_RUN",
    "make",
    "make_all",
    "not_in_a_file",
    "parameters_of",
    "plain_node",
    "target_of",
]

PLAIN = (bool, int, float, str, NoneType)
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def make(node: Any, where: str, kind: type | None = None, **runtime: Any) -> Any:
    """Returns what a configuration node with `_target_` names, its arguments checked.

    Nested nodes with `_target_` are made first. `_partial_: true` gives a function that still
    takes the rest of the arguments.

    Args:
        node: the node.
        where: its key, for messages, e.g. "strategy".
        kind: the class that the target must be or derive from.
        runtime: further arguments that no configuration holds.

    Raises: ValueError: the target cannot be imported or refuses a value, a key is unknown or
        missing, or a value has the wrong type.
    """
    values = plain_node(node, where)
    target = target_of(values.pop("_target_", None), where)
    if target is not_in_a_file:
        not_in_a_file(where, values.get("name"))
    if kind is not None and not (isinstance(target, type) and issubclass(target, kind)):
        raise ValueError(f"{where}._target_ must be a {kind.__name__}, got {target!r}")
    is_partial = values.pop("_partial_", False)
    parameters = parameters_of(target, where)
    for name in set(OF_RUN.get(where, ())) - set(parameters):
        values.pop(name, None)
    accepts_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = [name for name in parameters if name not in runtime]
    if unknown := [] if accepts_any else sorted(set(values) - set(known)):
        raise ValueError(unknown_name("key", f"{where}.{unknown[0]}", known))
    hints = _hints(target)
    checked = {k: _value(v, f"{where}.{k}", hints.get(k, Any)) for k, v in values.items()}
    passed = {name: value for name, value in runtime.items() if name in parameters}
    if is_partial:
        return partial(target, **passed, **checked)
    for name, parameter in parameters.items():
        is_required = parameter.default is parameter.empty and parameter.kind in NAMED
        if is_required and name not in {**passed, **checked}:
            raise ValueError(f"{where}.{name} is missing; give {where}.{name}=...")
    return target(**passed, **checked)


def not_in_a_file(group: str, name: Any) -> None:
    """Stands in a run's configuration for an object that was passed from Python.

    Raises: ValueError: always; the object cannot be made again from a file.
    """
    raise ValueError(
        f"{group} ({name}) was passed to this run from Python as an object; pass it again: "
        f"nl.search({group}=..., folder=RUN_DIR, resume=True) resumes it, nl.load_child(RUN_DIR, "
        f"space) and nl.show(RUN_DIR, space) take the search space, nl.train(RUN_DIR, {group}=...) "
        "trains its child"
    )


def parameters_of(target: Callable[..., Any], where: str) -> Mapping[str, inspect.Parameter]:
    """Returns the parameters of a class or function by name.

    Raises: ValueError: it does not tell them.
    """
    try:
        return inspect.signature(target).parameters
    except ValueError as error:  # some that are written in C tell nothing
        raise ValueError(f"{where}._target_ must be a class or function: {error}") from error


def make_all(nodes: Mapping[str, Any], where: str, **runtime: Any) -> list[Any]:
    """Returns what every node of a group makes, in order; null nodes are left out."""
    present = {f"{where}.{name}": node for name, node in nodes.items() if node is not None}
    return [make(node, key, **runtime) for key, node in present.items()]


def plain_node(node: Any, where: str) -> dict[str, Any]:
    """Returns a configuration node as a dict, interpolations resolved.

    Raises: ValueError: it is no mapping, or an interpolation has no value.
    """
    if isinstance(node, DictConfig):
        try:
            node = OmegaConf.to_container(node, resolve=True)
        except OmegaConfBaseException as error:
            raise ValueError(f"{where}: {error}") from error
    if not isinstance(node, dict):
        raise ValueError(f"{where} ({node!r}) must be a group of keys with a _target_")
    return dict(node)


def target_of(path: Any, where: str) -> Callable[..., Any]:
    """Returns the class or function at a dotted path, also of a module in the current folder.

    Raises: ValueError: there is none.
    """
    if not isinstance(path, str):
        raise ValueError(f"{where}._target_ ({path!r}) must be the path of a class or function")
    module = path.partition(".")[0]
    remark, log = _search_here(module), logging.getLogger(get_object.__module__)
    log.disabled = True  # Hydra logs what it raises
    try:
        target = get_object(path)
    except Exception as error:
        cause = error.__cause__ or error
        if isinstance(cause, ModuleNotFoundError) and cause.name == module and not remark:
            remark = f"; put {module}.py into {current_folder()}, or install {module}"
        raise ValueError(
            f"{where}._target_ '{path}' cannot be imported: {cause}{remark}"
        ) from error
    finally:
        log.disabled = False
    if not callable(target):
        raise ValueError(f"{where}._target_ '{path}' must be a class or function")
    return typing.cast(Callable[..., Any], target)


def _search_here(module: str) -> str:
    """Puts the current folder last on the import path, if a module lies there and nowhere else.

    It stays there for the module's own imports, and for processes that start later. Returns a
    note where the module lies elsewhere too, which hides that of the current folder.
    """
    here = Path(current_folder())
    file, package = here / f"{module}.py", here / module
    if not module.isidentifier() or not (file.is_file() or package.is_dir()):
        return ""
    if module not in sys.modules and find_spec(module) is None:
        sys.path.append(str(here))
        invalidate_caches()
    origin = getattr(sys.modules.get(module) or find_spec(module), "__file__", None)
    if not file.is_file() or origin is None or Path(origin) == file:
        return ""
    return f"; {file} is hidden by {origin}: rename yours"


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _value(value: Any, where: str, hint: Any) -> Any:
    """Returns a value made, converted to its parameter's type, or refused."""
    if isinstance(value, dict) and "_target_" in value:
        return make(value, where)
    if value == "???":
        raise ValueError(f"{where} is missing; give {where}=...")
    parts = list(value.values()) if isinstance(value, dict) else []
    if any(isinstance(part, dict) and "_target_" in part for part in parts):
        return {name: _value(part, f"{where}.{name}", Any) for name, part in value.items()}
    if _is_of(hint, value):
        return value
    name = where.rpartition(".")[2]
    try:
        typed = OmegaConf.structured(make_dataclass("Typed", [(name, hint)]))
    except (OmegaConfBaseException, TypeError, ValueError):
        return _unconverted(value, where, hint)
    try:
        merged = OmegaConf.merge(typed, {name: value})
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        cure = cure_of_type(reason)
        raise ValueError(f"{where} ({value!r}) has the wrong type: {reason}{cure}") from error
    plain = OmegaConf.to_container(merged)
    assert isinstance(plain, dict)
    result = plain[name]
    takes_tuple = any(typing.get_origin(h) is tuple for h in (hint, *typing.get_args(hint)))
    return tuple(result) if isinstance(result, list) and takes_tuple else result


def _is_of(hint: Any, value: Any) -> bool:
    """Returns whether a plain value has its parameter's very type, as most do: no conversion."""
    kinds = typing.get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return type(value) in PLAIN and type(value) in kinds


def _unconverted(value: Any, where: str, hint: Any) -> Any:
    """Returns a value whose type OmegaConf does not know, the plainest mistakes refused."""
    origin = typing.get_origin(hint)
    if origin is Sequence and (isinstance(value, str) or not isinstance(value, Sequence)):
        raise ValueError(f"{where} ({value!r}) must be a list; write e.g. {where}=[{value}]")
    if origin is Callable and not callable(value):
        raise ValueError(f"{where} ({value!r}) must be a group of keys with _target_ and _partial_")
    return value
