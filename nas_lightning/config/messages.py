"""One readable message for a mistake: the rule, the value got, the cure."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from traceback import walk_tb
from typing import Any

from hydra import errors
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.help import groups, option_of, options_of
from nas_lightning.core.checks import choose_from, most_like

__all__ = ["MISTAKES", "OF_RUN", "REFUSALS", "cure_of_type", "likely_keys", "message_of"]

REFUSALS = (TypeError, ValueError, HydraException, OmegaConfBaseException)
MISTAKES = (ArithmeticError, OSError, *REFUSALS)
FIRST = ("strategy", "child")  # groups whose keys are meant most often
HYDRAS = ("hydra/launcher", "hydra/sweeper")
OF_RUN = {"strategy": ("final", "on_collapse")}  # keys of a group that the run reads, no object
PACKAGE = Path(__file__).parents[1]
BUDGETS = ("epochs", "trials")  # of a search by one kind of strategy
TYPES = {  # what OmegaConf says of a value that it cannot convert
    "converted to Integer": "give a whole number, e.g. 1",
    "converted to Float": "give a number, e.g. 0.5",
    "not a valid bool": "give true or false",
}
EXTRAS = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm"}  # launchers


def message_of(error: BaseException) -> str:
    """Returns what the user has to know of an error; an unexpected one is named by its type."""
    if isinstance(error, errors.MissingConfigException):
        return _missing_option(error)
    if isinstance(error, errors.OverrideParseException):
        return (
            f"cannot read '{error.override}': write KEY=VALUE, and odd characters in quotes "
            f"of their own: \"KEY='VALUE'\", with quotes inside 'KEY=\"VALUE\"' "
            f"({_lines(error)[0]})"
        )
    if isinstance(error, errors.ConfigCompositionException):
        return _refused_override(error)
    if str(error).startswith("Config group override must be"):
        return "GROUP=VALUE must name an option of the group, or a list of them, e.g. data=digits"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    text = "\n".join(_lines(error)) or type(error).__name__
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {_lines(error)[0]}"
    if isinstance(error, MISTAKES) and not _is_of_other_code(error):
        return text
    return f"{type(error).__name__}: {text} (HYDRA_FULL_ERROR=1 shows where)"


def _is_of_other_code(error: BaseException) -> bool:
    """Returns whether a TypeError was raised in a file that is not this package's."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    files = [Path(frame.f_code.co_filename) for frame in frames]
    return isinstance(error, TypeError) and bool(files) and PACKAGE not in files[-1].parents


def _missing_option(error: errors.MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return str(error).partition("Config search path")[0].strip()
    if option in EXTRAS:
        return f'{group}={option} needs pip install "nas-lightning[{EXTRAS[option]}]"'
    group, _, folder = group.partition("/") if group.split("/")[0] in groups() else (group, "", "")
    listed = [name for name in error.options or () if not name.startswith("_")]
    options = sorted({*options_of(group), *([] if folder else listed)})
    wrong = f"{folder}/{option}" if folder else option
    return f"unknown option '{wrong}' of {group}; {choose_from(options, instead_of=wrong)}"


def _refused_override(error: errors.ConfigCompositionException) -> str:
    """Returns the message of a key that is not there, or of a value of the wrong type."""
    cause: Any = error.__cause__
    text = "\n".join(_lines(error))
    if text.startswith("Could not override '") and "No match in the defaults list" in text:
        return f"unknown group '{text.split(chr(39))[1]}'; --help lists the groups"
    if text.startswith("Ambiguous value for argument"):
        key, _, value = text.split("'")[1].partition("=")
        return (
            f"{_lines(error)[0]}: add -m for a sweep over these values; a text with commas has "
            f"quotes of its own: \"{key}='{value}'\""
        )
    if not isinstance(cause, OmegaConfBaseException):
        return text
    parent = cause.parent_node
    if isinstance(parent, DictConfig) and isinstance(cause, AttributeError | KeyError):
        known = [str(k) for k in parent if k != "hydra" and not str(k).startswith("_")]
        if "trials" in parent:  # of a black-box strategy, which has no use for them
            known = [each for each in known if each not in OF_RUN["strategy"]]
        known = list(HYDRAS) if str(cause.full_key).startswith("hydra/") else sorted(known)
        return _unknown_key(parent, str(cause.full_key), known, text)
    typed, reason = _lines(error)[0].removeprefix("Error merging override "), _lines(cause)[0]
    if " is not a subclass of " in reason:
        return f"{typed} must name a key; write {typed.partition('=')[0]}.KEY=VALUE"
    return f"{typed}: {reason}{cure_of_type(reason)}"


def cure_of_type(reason: str) -> str:
    """Returns the cure to append to OmegaConf's words on a value of the wrong type; "" else.

    >>> cure_of_type("Value 'abc' of type 'str' could not be converted to Integer")
    '; give a whole number, e.g. 1'
    """
    return next((f"; {cure}" for words, cure in TYPES.items() if words in reason), "")


def _unknown_key(parent: DictConfig, key: str, known: list[str], text: str) -> str:
    """Returns the message for a key that is not there, with the likely ones in all of the tree."""
    last = key.rpartition(".")[2]
    message = f"unknown key '{key}'; choose from: {', '.join(known) or '(there are none)'}"
    message += _owner(parent, key)
    if meant := most_like(last, known):
        return message + meant
    typed = re.search(r"use \+{1,2}[\w.@/]+(=.*)", text)
    value = typed[1] if typed else ""
    if "_target_" in parent and not str(parent["_target_"]).startswith("nas_lightning."):
        return f"{message}; +{key}{value} gives it to {parent['_target_']}"
    section = key.partition(".")[0]
    likely = likely_keys(parent._get_root(), last, near=section)
    if section != key:  # another section's key of a similar name is no guess
        likely = [each for each in likely if each.rpartition(".")[2] == last]
    likely = [f"{each}{value}" for each in likely[:3]]
    return f"{message}; did you mean {' or '.join(likely)}?" if likely else message


def _owner(parent: DictConfig, key: str) -> str:
    """Returns which option has no such key: a sweep has several of a group."""
    group, _, name = key.partition(".")
    option = option_of(group, str(parent.get("_target_"))) if name else None
    if option is None:
        return ""
    is_budget = group == "strategy" and name in BUDGETS and "max_samples" in parent._get_root()
    more = "; max_samples=N bounds the search of every strategy" if is_budget else ""
    return f"; {group}={option} has no such key{more}"


def likely_keys(cfg: Any, name: str, near: str = "strategy") -> list[str]:
    """Returns the keys, e.g. "strategy.epochs", whose last part is a name, or the most like it.

    Those of the group `near` come first.
    """
    first = (near, *FIRST)
    paths = sorted(_paths(cfg), key=lambda path: (_place(path.split(".")[0], first), path))
    similar = get_close_matches(name, {path.rpartition(".")[2] for path in paths}, n=1)
    return [path for path in paths if path.rpartition(".")[2] in similar]


def _place(group: str, first: tuple[str, ...]) -> int:
    return first.index(group) if group in first else len(first)


def _paths(node: Any, start: str = "") -> Iterator[str]:
    """Yields the keys of a configuration at any depth, those of Hydra left out."""
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
        return
    for key in node:
        if str(key) != "hydra" and not str(key).startswith("_"):
            yield f"{start}{key!s}"
            yield from _paths(node._get_node(key), f"{start}{key!s}.")


def _lines(error: BaseException) -> list[str]:
    return [line for line in str(error).strip().splitlines() if line.strip()]
