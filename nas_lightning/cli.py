"""What every command shares: help, resume, sweeps, and one readable message for a mistake."""

import os
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from nas_lightning import schema
from nas_lightning.help import help_text
from nas_lightning.paths import config_dir
from nas_lightning.resume import resume_arguments
from nas_lightning.sweep import summarise_sweep

__all__ = ["Job", "run"]

Job = Callable[[DictConfig, Path], float | None]

INTERRUPTED = 130


def run(config_name: str, job: Job) -> None:
    """Runs a command: parses sys.argv, composes the configuration, calls the job.

    A mistake ends in one message on standard error and exit status 1, without a traceback
    unless HYDRA_FULL_ERROR=1; an interruption in exit status 130.

    Args:
        config_name: the primary configuration, e.g. "search".
        job: gets the configuration and the run's folder; what it returns goes to a sweeper.
    """
    arguments = sys.argv[1:]
    if not arguments and config_name != "search":
        arguments = ["--help"]
    if {"--help", "-h"} & set(arguments):
        print(help_text(config_name))
        return
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR", "") not in ("", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        _run(config_name, job, arguments)
    except KeyboardInterrupt:
        _stop("interrupted; nas-search resume=RUN_DIR goes on from the last epoch", INTERRUPTED)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            _stop("interrupted; nas-search resume=RUN_DIR goes on from the last epoch", INTERRUPTED)
        raise
    except Exception as error:
        if wants_traceback:
            traceback.print_exc()
        _stop(_message(error), 1)


def _run(config_name: str, job: Job, arguments: list[str]) -> None:
    schema.register()
    arguments = resume_arguments(arguments, config_name)
    is_sweep = bool({"-m", "--multirun"} & set(arguments))
    if is_sweep:
        arguments, folder = _with_sweep_folder(arguments)
    sys.argv[1:] = arguments

    failures: list[Exception] = []

    def task(cfg: DictConfig) -> float | None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            return job(_typed(cfg, config_name), folder)
        except Exception as error:
            if is_sweep:  # Hydra takes note, goes on with the other jobs, and raises at the end
                raise
            failures.append(error)
            return None

    try:
        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=config_name)(
            task
        )()
    finally:
        if is_sweep and folder.is_dir():
            summarise_sweep(folder)
    if failures:
        raise failures[0]


def _typed(cfg: DictConfig, config_name: str) -> DictConfig:
    """Returns the configuration on its shell, also where it comes from a run's folder."""
    shell = {
        "search": schema.SearchConfig,
        "train": schema.TrainConfig,
        "show": schema.ShowConfig,
    }[config_name]
    typed = OmegaConf.merge(OmegaConf.structured(shell), cfg)
    assert isinstance(typed, DictConfig)
    return typed


def _with_sweep_folder(arguments: list[str]) -> tuple[list[str], Path]:
    """Returns arguments that name the sweep's folder, and the folder."""
    overrides = [a for a in arguments if "=" in a and not a.startswith("-")]
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.key_or_group == "hydra.sweep.dir":
            return arguments, Path(str(override.value()))
    folder = Path("outputs/sweep") / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
    return [*arguments, f"hydra.sweep.dir={folder}"], folder


def _message(error: BaseException) -> str:
    """Returns a message for the user: the rule, the value, the cure."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, HydraException):
        return _hydra_message(error, text)
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, ValueError | TypeError | OSError | ArithmeticError):
        return text
    return f"{type(error).__name__}: {text} (HYDRA_FULL_ERROR=1 shows where)"


def _hydra_message(error: HydraException, text: str) -> str:
    """Returns what Hydra says, without its search paths and its advice to add keys."""
    if isinstance(error, OverrideParseException):
        return f"cannot read '{error.override}': {text.splitlines()[0]}; quote it or correct it"
    if text.startswith("Could not override '"):
        key = text.split("'")[1]
        return f"unknown key '{key}'; --help names the groups and --cfg job prints all keys"
    lines = text.partition("Config search path")[0].split("\n")
    text = "\n".join(line for line in lines if line.strip())
    cause = str(error.__cause__ or "").splitlines()
    return f"{text}: {cause[0]}" if cause and cause[0] not in text else text


def _stop(message: str, status: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(status)
