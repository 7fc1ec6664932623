"""One readable message for a mistake: the rule, the value got, the cure."""

from collections.abc import Iterable
from typing import Any

from hydra import errors
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

__all__ = ["MISTAKES", "message_of"]

MISTAKES = (ArithmeticError, OSError, TypeError, ValueError, HydraException, OmegaConfBaseException)
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
    if isinstance(error, MISTAKES):
        return text
    return f"{type(error).__name__}: {text} (HYDRA_FULL_ERROR=1 shows where)"


def _missing_option(error: errors.MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return str(error).partition("Config search path")[0].strip()
    if option in EXTRAS:
        return f'{group}={option} needs pip install "nas-lightning[{EXTRAS[option]}]"'
    known = "--help lists them" if error.options is None else _choose(error.options)
    return f"unknown option '{option}' of {group}; {known}"


def _refused_override(error: errors.ConfigCompositionException) -> str:
    """Returns the message of a key that is not there, or of a value of the wrong type."""
    cause: Any = error.__cause__
    text = "\n".join(_lines(error))
    if text.startswith("Could not override '") and "No match in the defaults list" in text:
        return f"unknown group '{text.split(chr(39))[1]}'; --help lists the groups"
    if not isinstance(cause, OmegaConfBaseException):
        return text
    parent = cause.parent_node
    if isinstance(parent, DictConfig) and isinstance(cause, AttributeError | KeyError):
        known = [str(k) for k in parent if k != "hydra" and not str(k).startswith("_")]
        return f"unknown key '{cause.full_key}'; {_choose(known)}"
    return f"{_lines(error)[0].removeprefix('Error merging override ')}: {_lines(cause)[0]}"


def _choose(names: Iterable[str]) -> str:
    return f"choose from: {', '.join(sorted(names)) or '(there are none)'}"


def _lines(error: BaseException) -> list[str]:
    return [line for line in str(error).strip().splitlines() if line.strip()]
