"""What a user types, as Hydra understands it: a word without its key, ~, and wrong habits."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.cli.resume import quoted
from nas_lightning.config import schema
from nas_lightning.config.help import EXAMPLES
from nas_lightning.config.messages import likely_keys
from nas_lightning.config.paths import config_dir
from nas_lightning.run.folder import SWEEP_FILE

__all__ = [
    "COMPLETION",
    "MULTIRUN",
    "UsageError",
    "check_groups",
    "completed_line",
    "composed_folder",
    "new_sweep_folder",
    "note_on_one_job",
    "overrides_of",
    "typed_folder",
    "with_home",
    "with_list",
    "with_override",
]

COMPLETION = {"-sc", "--shell-completion"}
MULTIRUN = {"-m", "--multirun", "hydra.mode=MULTIRUN"}
TAKE_GENOTYPE = ("show", "train")
ALONE = {"derive": "run", **dict.fromkeys(TAKE_GENOTYPE, "genotype")}  # key of a word without one
VALUED = [
    *("--config-dir", "--config-name", "--config-path", "--experimental-rerun", "--package"),
    *("-cd", "-cn", "-cp", "-p", "--cfg", "-c", "--info", "-i"),
]
FLAGS = [
    *(*VALUED, *COMPLETION, "-m", "--multirun", "--run", "-r", "--resolve", "--hydra-help"),
]
OVERRIDE = re.compile(r"\+{0,2}[\w./@:-]+=|~[\w.@]+(?:=|$)")  # KEY=VALUE, or ~KEY
PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")  # what Hydra reads as the text that it is
PARTS = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")  # what is quoted within a value
ONE = re.compile(r"(?!null$)[\w./~-]+|'[^']*'|\"[^\"]*\"")  # a text that is no list
HOME = re.compile(r"(^|[=,\[]|file://)~(/[^,\[\]{}'\"]*|(?=[,\]]|$))")


class UsageError(ValueError):
    """A command was typed in a way that no configuration can mend; its exit status is 2."""


def overrides_of(command: str, arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with genotype= or run= before a word alone, quoted, and ~ expanded.

    Flags come first: Hydra reads settings only where they stand side by side.

    Raises: UsageError: there is an unknown flag, no genotype or a second one, the word help, or a
        space in place of =.
    """
    if "help" in arguments:
        raise UsageError(
            f"help must be a flag: nas-{command} --help; settings are KEY=VALUE, e.g. seed=1"
        )
    if not arguments and command in TAKE_GENOTYPE:
        examples = "\n".join(f"  {typed}" for typed, _ in EXAMPLES[command][:3])
        raise UsageError(
            f"genotype is missing; name a published one, a file or a run's folder:\n{examples}"
        )
    flags, read, words = list[str](), list[str](), list(arguments)
    while words:
        word = words.pop(0)
        _check_joined(command, word, words)
        if word.startswith("-"):
            _check_flag(command, word, words)
            flags.append(word)
            has_value = word in VALUED and words and not OVERRIDE.match(words[0])
            flags += [words.pop(0)] if has_value else []
        elif command in ALONE and not OVERRIDE.match(word):
            read.append(_with_key(ALONE[command], word, is_sweep=bool(MULTIRUN & set(arguments))))
        else:
            typed = _quoted_notation(with_home(with_list(command, word)))
            read.append(word if word.startswith(("resume=", "fork=")) else typed)
    key = ALONE.get(command, "genotype")
    if len(named := [word for word in read if word.startswith(f"{key}=")]) > 1:
        names = " and ".join(word.removeprefix(f"{key}=") for word in named)
        raise UsageError(f"{key} must be one, got {names}; for a sweep -m {key}=ONE,OTHER")
    return flags + read


def completed_line(command: str, line: str) -> str:
    """Returns a line whose last word is being typed, with its key before a word alone.

    >>> completed_line("train", "nas-train darts_v2 strategy=da")
    'nas-train genotype=darts_v2 strategy=da'
    """
    name, *words, last = line.split(" ") if " " in line else (line, "")
    if key := ALONE.get(command):
        words = [_with_key(key, word) if _is_alone(word) else word for word in words]
    return " ".join([name, *words, last])


def with_home(override: str) -> str:
    """Returns KEY=VALUE with the user's home for ~ where a path begins, also in a list.

    >>> os.environ["HOME"] = "/home/me"
    >>> with_home("data.path=~/images")
    'data.path=/home/me/images'
    >>> with_home("compare=[~/a,'~/b']")
    "compare=[/home/me/a,'/home/me/b']"
    """
    parts = PARTS.split(override)
    for place, part in enumerate(parts):
        if place % 2 and part[1:3] == "~/":
            parts[place] = part[0] + _home() + part[2:]
        elif place % 2 == 0:
            parts[place] = HOME.sub(_expanded, part)
    return "".join(parts)


def with_list(command: str, override: str) -> str:
    """Returns KEY=VALUE with the value as a list, where the command takes a list of texts.

    >>> with_list("search", "export=onnx")
    'export=[onnx]'
    """
    key, _, value = override.partition("=")
    is_one = key in schema.lists_of(command) and ONE.fullmatch(value)
    return f"{key}=[{value}]" if is_one else override


def with_override(arguments: list[str], override: str) -> list[str]:
    """Returns the arguments with an override after the last of them, where argparse finds it."""
    places = [i for i, a in enumerate(arguments) if "=" in a and not a.startswith("-")]
    place = places[-1] + 1 if places else len(arguments)
    return [*arguments[:place], override, *arguments[place:]]


def check_groups(arguments: list[str]) -> None:
    """Refuses GROUP=null, for which Hydra's own message names no group.

    Raises: ValueError: there is one.
    """
    for argument in arguments:
        group = argument.lstrip("+").removesuffix("=null")
        if argument.endswith("=null") and (config_dir() / group).is_dir():
            raise ValueError(
                f"{argument} must name an option of the group; leave it out, or give {group}=[] "
                "where none is meant"
            )


def _expanded(found: re.Match[str]) -> str:
    before, rest = found.groups()
    path = _home() + rest
    return before + (path if before == "file://" or PLAIN.fullmatch(_home()) else quoted(path))


def _home() -> str:
    return os.path.expanduser("~")


def _is_alone(word: str) -> bool:
    """Returns whether a word of a line is neither a flag nor an override."""
    return bool(word) and word[0] != "-" and not OVERRIDE.match(word)


def _with_key(key: str, word: str, is_sweep: bool = False) -> str:
    """Returns the override for a word that was typed alone; a sweep may list several."""
    path = Path(word).expanduser()
    word = str(path) if word.startswith("~") else word
    is_plain = PLAIN.fullmatch(word.replace(",", "") if is_sweep else word)
    return f"{key}={word if is_plain else quoted(word)}"


def _quoted_notation(override: str) -> str:
    """Returns an override; a genotype= whose text Hydra does not read as such is quoted."""
    key, _, text = override.partition("=")
    if key != "genotype":
        return override
    try:
        read = OverridesParser.create().parse_override(override)
        is_text = read.is_sweep_override() or not isinstance(read.value(), dict | list)
    except HydraException:
        is_text = False
    return override if is_text else f"genotype={quoted(text)}"


def _check_joined(command: str, word: str, following: Sequence[str]) -> None:
    """Refuses KEY VALUE, and spaces around =."""
    key = word.removesuffix("=")
    value = next((text for each in following[:2] if (text := each.removeprefix("="))), "")
    keys = (*schema.keys_of(command), "experiment", "resume", "fork", "hydra")
    is_key = key.partition(".")[0] in keys and PLAIN.fullmatch(key)
    if is_key and value and not value.startswith("-") and not OVERRIDE.match(value):
        raise UsageError(f"'{key} {value}' must be typed without spaces: {key}={value}")


def _check_flag(command: str, word: str, following: Sequence[str]) -> None:
    flag, _, value = word.partition("=")
    if any(known.startswith(flag) for known in FLAGS):  # argparse takes a part of a name
        return
    if not value and following and not following[0].startswith("-") and "=" not in following[0]:
        value = following[0]
    likely = likely_keys(schema.composed(command, []), flag.lstrip("-").replace("-", "_"))
    keys = " or ".join(f"{key}={value or '...'}" for key in likely[:3])
    raise UsageError(
        f"unrecognized arguments: {flag}; settings are KEY=VALUE"
        + (f": {keys}" if keys else f", e.g. seed=1; nas-{command} --help lists them")
    )


def typed_folder(name: str, arguments: list[str]) -> Path | None:
    """Returns the run's folder that an argument names; None if none does or Hydra refuses it."""
    if not any(a.lstrip("+").startswith("hydra.run.dir=") for a in arguments):
        return None
    overrides = [a for a in arguments if not a.startswith("-")]
    try:
        return composed_folder(name, overrides, "hydra.run.dir")
    except (HydraException, OmegaConfBaseException):  # Hydra itself is about to say so
        return None


def composed_folder(name: str, overrides: list[str], key: str) -> Path:
    """Returns a folder that the composed configuration names, interpolations resolved."""
    if not (folder := OmegaConf.select(schema.composed(name, overrides), key)):
        raise ValueError(f"{key} ({folder!r}) must be a folder; leave it out, or give {key}=FOLDER")
    return Path(str(folder))


def new_sweep_folder(name: str, arguments: list[str]) -> Path:
    """Returns a sweep's folder, fixed before Hydra reads the clock for its name again.

    Raises: ValueError: there is a sweep already.
    """
    own = [a for a in arguments if a.lstrip("+").startswith(("hydra.sweep.", "hydra.job."))]
    folder = composed_folder(name, own, "hydra.sweep.dir")
    if (folder / SWEEP_FILE).exists():
        raise ValueError(
            f"the folder {folder} must not hold a sweep already; choose another one, or "
            f"resume it: resume={shlex.quote(str(folder))}"
        )
    return folder


def note_on_one_job(arguments: list[str]) -> str:
    """Returns a note for a sweep over nothing that was typed; "" where there is no such sweep."""
    overrides = [argument for argument in arguments if OVERRIDE.match(argument)]
    try:
        read = OverridesParser.create().parse_overrides(overrides)
    except HydraException:  # Hydra itself is about to say so
        return ""
    if any(each.is_sweep_override() or "sweeper" in each.key_or_group for each in read):
        return ""
    return "note: no setting has several values, so this sweep is one job; sweep e.g. -m seed=0,1,2"
