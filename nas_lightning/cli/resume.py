"""resume=DIR: the arguments that go on with a run or a sweep, from what it kept."""

import os
import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from nas_lightning.run.sweep import SWEEP_FILE

__all__ = ["quoted", "resume_arguments", "sweep_arguments", "sweep_to_resume", "working_folder"]

KEPT = ".hydra"
LAUNCH = ("hydra/launcher", "hydra.launcher.")  # how jobs are run, not what they compute
RENEWED = ("hydra.sweep.dir=", "hydra.mode=")
ABSENT = object()


def resume_arguments(arguments: list[str], config_name: str) -> list[str]:
    """Returns the arguments of a resumed run, or the arguments themselves without resume=.

    The whole configuration comes from the run's folder; an override beside resume= must equal
    the run's own.

    Args:
        arguments: what the user typed.
        config_name: name of the command's primary configuration.

    Raises:
        ValueError: there is no such run, it is of another command, or an override differs.
    """
    named = [a for a in arguments if a.startswith("resume=")]
    if not named:
        return arguments
    folder = _folder(named[-1].removeprefix("resume="))
    kept = folder / KEPT
    _check_run(folder)
    settings = OmegaConf.load(kept / "hydra.yaml")
    _check_command(settings, config_name, folder)
    given = OmegaConf.select(settings, "hydra.overrides.hydra") or []  # e.g. hydra.run.dir=...
    typed = [a for a in arguments if a not in named and a not in given]
    if flags := [a for a in typed if a.startswith("-")]:
        raise ValueError(f"resume: {flags[0]} cannot stand beside resume=; leave it out")
    choices = OmegaConf.select(settings, "hydra.runtime.choices") or {}
    config = OmegaConf.to_container(OmegaConf.load(kept / "config.yaml"), resolve=False)
    _check_same(typed, config, choices, folder)
    return [
        "--config-path",
        str(kept),
        "--config-name",
        "config",
        f"hydra.run.dir={quoted(folder)}",
        "hydra.output_subdir=null",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
    ]


def sweep_to_resume(arguments: list[str]) -> Path | None:
    """Returns the folder of the sweep that resume= names, or None if it names none."""
    named = [a for a in arguments if a.startswith("resume=")]
    folder = _folder(named[-1].removeprefix("resume=")) if named else None
    return folder if folder is not None and (folder / SWEEP_FILE).is_file() else None


def sweep_arguments(folder: Path, arguments: list[str], config_name: str) -> list[str]:
    """Returns the arguments that run what is missing of a sweep, all of its jobs in their places.

    What was typed for the sweep is typed again, so that every job gets its number back; an
    override beside resume= must be one of them, or say how jobs are launched.

    Args:
        folder: the sweep's folder.
        arguments: what the user typed.
        config_name: name of the command's primary configuration.

    Raises:
        ValueError: the sweep is another command's, or an override is not the sweep's own.
    """
    settings = OmegaConf.load(folder / SWEEP_FILE)
    if OmegaConf.select(settings, "hydra.overrides.task") is None:
        raise ValueError(f"resume: {folder / SWEEP_FILE} is not whole; start the sweep again")
    _check_command(settings, config_name, folder)
    task = [str(o) for o in OmegaConf.select(settings, "hydra.overrides.task")]
    given = [str(o) for o in OmegaConf.select(settings, "hydra.overrides.hydra")]
    typed = [a for a in arguments if not a.startswith(("resume=", "-m", "--multirun"))]
    launch = [a for a in typed if a.lstrip("+").startswith(LAUNCH)]
    if other := [a for a in typed if a not in (*task, *given, *launch)]:
        raise ValueError(
            f"resume: not the sweep's own: {', '.join(other)}; the sweep in {folder} keeps what "
            "was typed for it; leave them out, or start a new sweep"
        )
    renewed = (*RENEWED, *LAUNCH) if launch else RENEWED
    kept = [o for o in given if not o.startswith(renewed)]
    sources = OmegaConf.select(settings, "hydra.runtime.config_sources") or ()
    added = [f"--config-dir={s.path}" for s in sources if s.provider == "command-line"]
    return ["-m", *task, *kept, *launch, f"hydra.sweep.dir={quoted(folder)}", *added]


def _check_command(settings: Any, config_name: str, folder: Path) -> None:
    own = OmegaConf.select(settings, "hydra.job.config_name")
    if own != config_name:
        raise ValueError(f"resume: {folder} is a run of nas-{own}; use nas-{own} resume={folder}")


def quoted(folder: Path) -> str:
    """Returns a folder as the value of an override, whatever characters are in its name."""
    text = re.sub(r'(\\+)(?="|$)', r"\1\1", str(folder))  # others stand for themselves
    text = text.replace('"', '\\"')
    return f'"{text}"'


def working_folder(kept: Path) -> Path:
    """Returns the folder that a run or a sweep was started in, where its relative paths begin.

    If that is gone, it is the present one.

    Args:
        kept: the file with what Hydra knew of it.
    """
    settings = OmegaConf.load(kept)
    folder = Path(str(OmegaConf.select(settings, "hydra.runtime.cwd")))
    return folder if folder.is_dir() else Path.cwd()


def _check_run(folder: Path) -> None:
    if "${" in str(folder):
        raise ValueError(f"resume: the name of {folder} must not hold '${{'; rename it")
    if not (folder / KEPT / "config.yaml").is_file():
        raise ValueError(
            f"resume: {folder} is no run: it has no {KEPT}/config.yaml; name the "
            "folder that the run printed"
        )
    last = folder / KEPT / "overrides.yaml"  # Hydra writes it after the others
    if not last.is_file() or not last.read_text():
        raise ValueError(
            f"resume: {folder} was stopped before its configuration was written; there is "
            "nothing to go on with: start it again"
        )
    if not os.access(folder, os.W_OK) and not (folder / "result.json").is_file():
        raise ValueError(f"resume: the run in {folder} must be writable; copy it to where you may")


def _folder(text: str) -> Path:
    """Returns the folder that was named; quotes and ~ may belong to its name."""
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    plain = Path(text[1:-1] if is_quoted else text)
    return (Path(text) if Path(text).is_dir() else plain.expanduser()).resolve()


def _check_same(typed: list[str], config: Any, choices: Any, folder: Path) -> None:
    overrides = OverridesParser.create().parse_overrides(typed)
    changed = [o for o in overrides if not _is_same(o, config, choices)]
    if changed:
        names = ", ".join(str(o.key_or_group) for o in changed)
        raise ValueError(
            f"resume: not the run's own: {names}; the run in {folder} keeps its "
            "configuration; leave them out, or start a new run"
        )


def _is_same(override: Override, config: Any, choices: Any) -> bool:
    name, value = override.key_or_group, override.value()
    if name in choices and str(choices[name]) == str(value):
        return True
    kept = config
    for key in name.split("."):
        kept = kept.get(key, ABSENT) if isinstance(kept, dict) else ABSENT
    if override.is_delete():
        return kept is ABSENT
    return bool(kept == value) or (kept == {} and value == [])  # logger=[]
