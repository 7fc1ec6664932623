"""resume=DIR: the arguments that resume a run or a sweep, from what its folder holds."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from nas_lightning.config.making import target_of
from nas_lightning.config.schema import keys_of
from nas_lightning.config.sources import recorded_sources
from nas_lightning.config.trust import Trust, check_version, outside_targets
from nas_lightning.core.checks import one_of
from nas_lightning.run.folder import HYDRA, SWEEP_FILE, RunFolder

__all__ = [
    "FIXED",
    "check_configuration",
    "check_progress",
    "check_resumable",
    "check_unused",
    "check_whole",
    "named_folder",
    "quoted",
    "resume_arguments",
    "resumed_configuration",
    "resumed_folder",
    "sweep_arguments",
    "without_trust",
]

FIXED = ("search_space", "data", "task")  # groups that the state of a search belongs to
OF_RUN = ("resume=", "fork=")
TRUSTING = ("show", "train")  # commands that read the folder of another run

LAUNCH = ("hydra/launcher", "hydra.launcher.")  # how jobs are run, not what they compute
RENEWED = ("hydra.sweep.dir=", "hydra.mode=")
ABSENT = object()
# What a sweep's folder may say of Hydra's own without trust=true: nothing of it calls anything.
HARMLESS = re.compile(
    r"[+]*hydra(/launcher=(basic|joblib|submitit_local|submitit_slurm)|/sweeper=basic"
    r"|\.sweep\.(dir|subdir)=[^${]*|\.mode=MULTIRUN|\.sweeper\.max_batch_size=\d+"
    r"|\.launcher\.(n_jobs|timeout_min|cpus_per_task|gpus_per_node|mem_gb|nodes|partition|qos"
    r"|account|array_parallelism)=[\w.-]+)"
)


def resumed_folder(arguments: list[str]) -> RunFolder | None:
    """Returns the folder that resume= names, None without one; quotes and ~ may be in its name."""
    return named_folder("resume", arguments)


def named_folder(key: str, arguments: Sequence[str]) -> RunFolder | None:
    """Returns the folder that e.g. resume= names; quotes and ~ may be in its name."""
    named = [a.removeprefix(f"{key}=") for a in arguments if a.startswith(f"{key}=")]
    if not named:
        return None
    text = named[-1]
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    plain = Path(text[1:-1] if is_quoted else text)
    return RunFolder((Path(text) if Path(text).is_dir() else plain.expanduser()).resolve())


def without_trust(arguments: list[str], command: str) -> tuple[list[str], Trust]:
    """Returns the arguments without trust=, which no file of a run keeps, and whom to trust.

    Raises: ValueError: trust= is neither true nor false, or there is no folder to trust.
    """
    said = [a.removeprefix("trust=") for a in arguments if a.startswith("trust=")]
    one_of("trust", said[-1] if said else "false", ("true", "false"))
    if said and command not in TRUSTING and not any(a.startswith(OF_RUN) for a in arguments):
        raise ValueError(
            f"trust={said[-1]} has no effect: it goes with resume=RUN_DIR, fork=RUN_DIR or "
            "genotype=RUN_DIR; leave it out"
        )
    left = [argument for argument in arguments if not argument.startswith("trust=")]
    return left, Trust.of("true" in said[-1:], left)


def resume_arguments(
    folder: RunFolder, arguments: list[str], command: str, trust: Trust
) -> list[str]:
    """Returns the arguments of a resumed run.

    The whole configuration comes from the run's folder; an override beside resume= must equal
    the run's own.

    Raises: ValueError: the run cannot be resumed, names code that is not trusted, or an override
        differs.
    """
    typed = [each for each in arguments if not each.startswith("resume=")]
    resumed_configuration(folder, typed, command, trust)
    config = ["--config-path", str(folder.hydra), "--config-name", "config"]
    silent = ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
    return [*config, f"hydra.run.dir={quoted(folder.path)}", *silent]


def resumed_configuration(
    folder: RunFolder, typed: list[str], command: str, trust: Trust
) -> DictConfig:
    """Returns the whole configuration of a run that is resumed, from its folder.

    An override that is typed beside the folder must equal the run's own.

    Raises: ValueError: the run cannot be resumed, names code that is not trusted, or an override
        differs.
    """
    check_resumable(folder, command)
    check_configuration(folder, command, trust)
    hydra = folder.setting("overrides.hydra") or []  # e.g. hydra.run.dir=...
    typed = [override for override in typed if override not in hydra]
    if flags := [override for override in typed if override.startswith("-")]:
        raise ValueError(f"resume: {flags[0]} cannot stand beside resume=; leave it out")
    _check_same(typed, folder)
    return folder.config


def sweep_arguments(
    folder: RunFolder, arguments: list[str], command: str, trust: Trust
) -> list[str]:
    """Returns the arguments that run what is missing of a sweep, all of its jobs in their places.

    What was typed for the sweep is typed again, so that every job gets its number back; an
    override beside resume= must be one of them, or say how jobs are launched.

    Raises: ValueError: the sweep is another command's, an override is not the sweep's own, or the
        folder says what Hydra is to call and is not trusted.
    """
    if folder.setting("overrides.task") is None:
        raise ValueError(f"resume: {folder / SWEEP_FILE} is not whole; start the sweep again")
    _check_command(folder, command)
    task, hydra = folder.overrides, [str(o) for o in folder.setting("overrides.hydra")]
    typed = [a for a in arguments if not a.startswith(("resume=", "-m", "--multirun"))]
    launch = [a for a in typed if a.lstrip("+").startswith(LAUNCH)]
    if other := [a for a in typed if a not in (*task, *hydra, *launch)]:
        raise ValueError(
            f"resume: not the sweep's own: {', '.join(other)}; the sweep in {folder.path} keeps "
            "what was typed for it; leave them out, or start a new sweep"
        )
    renewed = (*RENEWED, *LAUNCH) if launch else RENEWED
    unchanged = [o for o in hydra if not o.startswith(renewed)]
    added = folder.config_dirs
    of_hydra = [o for o in [*task, *unchanged] if o.lstrip("+~").startswith(("hydra", "-"))]
    strange = [o for o in of_hydra if not HARMLESS.fullmatch(o) and o not in typed]
    if not trust.is_full and (strange := [*strange, *added]):
        raise ValueError(
            f"resume: the sweep in {folder.path} was started with {', '.join(strange)}, which may "
            "call code of others; give trust=true if you trust this folder"
        )
    _import_named(dict.fromkeys(trust.named, "resume"), trust)
    return ["-m", *task, *unchanged, *launch, f"hydra.sweep.dir={quoted(folder.path)}", *added]


def check_configuration(folder: RunFolder, command: str, trust: Trust) -> None:
    """Refuses a configuration that says more than a command's keys, or calls what it may not.

    Raises: ValueError: it does.
    """
    config, path = folder.config, folder.config_file
    keys = keys_of(command)
    if unknown := [str(key) for key in config if key not in keys]:
        raise ValueError(f"{path}: unknown key '{unknown[0]}'; choose from: {', '.join(keys)}")
    if "@package" in path.read_text("utf-8"):
        raise ValueError(f"{path} must not hold '@package', which Hydra reads; take it out")
    trust.check(config, f"the run {folder.path}", recorded_sources(folder.path))
    places = {target: key for key, target in outside_targets(config).items()}
    _import_named({t: key.removesuffix("._target_") for t, key in places.items()}, trust)


def _import_named(places: Mapping[str, str], trust: Trust) -> None:
    """Imports what the user named from the present folder, which no folder of a run can choose.

    `places` are the targets that will be called, each with where it stands, for the message.
    """
    for target, where in places.items():
        if target in trust.named and not trust.is_full:
            target_of(target, where)


def quoted(text: str | Path) -> str:
    """Returns a text or a path as the value of an override, whatever characters are in it."""
    escaped = re.sub(r'(\\+)(?="|$)', r"\1\1", str(text))  # others stand for themselves
    return '"' + escaped.replace('"', '\\"') + '"'


def check_resumable(folder: RunFolder, command: str) -> None:
    """Checks that a folder holds a run of this command and version that can be resumed.

    Raises: ValueError: it does not.
    """
    path = folder.path
    check_whole(folder, command, "resume")
    if not os.access(path, os.W_OK) and not (path / "result.json").is_file():
        raise ValueError(f"resume: the run in {path} must be writable; copy it to where you may")
    check_progress(folder)


def check_whole(folder: RunFolder, command: str, key: str) -> None:
    """Checks that a folder, named by e.g. resume=, holds a run of this command.

    Raises: ValueError: it does not.
    """
    path = folder.path
    if "${" in str(path):
        raise ValueError(f"{key}: the name of {path} must not hold '${{'; rename it")
    if not folder.is_run:
        raise ValueError(
            f"{key}: {path} is no run: it has no {HYDRA}/config.yaml; name the "
            "folder that the run printed"
        )
    if not folder.is_whole:
        raise ValueError(
            f"{key}: {path} was stopped before its configuration was written; there is "
            f"nothing to {key}: start it again"
        )
    _check_command(folder, command, key)


def check_unused(folder: RunFolder, resuming: str) -> None:
    """Refuses a folder where a run got somewhere: a new one would mix up their files.

    Raises: ValueError: it is one; `resuming` is what to give instead.
    """
    if folder.has_progress:
        raise ValueError(
            f"the folder {folder.path} must not hold a run already; choose another one, or resume "
            f"it: {resuming}"
        )


def check_progress(folder: RunFolder) -> None:
    """Refuses to resume what another minor version has begun; notes this version where none is.

    Raises: ValueError: it is of another minor version.
    """
    if folder.version() is not None or folder.has_progress:
        check_version(folder.version(), f"resume: the run in {folder.path}")
    else:  # it was stopped before it could note its version
        folder.begin(folder.objects)


def _check_command(folder: RunFolder, command: str, key: str = "resume") -> None:
    if folder.command != command:
        name, path = f"nas-{folder.command}", folder.path
        cure = f"use {name} resume={shlex.quote(str(path))}"
        cure = cure if key == "resume" else f"name one of nas-{command}"
        raise ValueError(f"{key}: {path} is a run of {name}; {cure}")


def _check_same(typed: list[str], folder: RunFolder) -> None:
    config = OmegaConf.to_container(folder.config, resolve=False)
    choices = folder.setting("runtime.choices") or {}
    overrides = OverridesParser.create().parse_overrides(typed)
    if changed := [o for o in overrides if not _is_same(o, config, choices)]:
        names = ", ".join(str(o.key_or_group) for o in changed)
        raise ValueError(
            f"resume: not the run's own: {names}; the run in {folder.path} keeps its "
            f"configuration; leave them out, or {_new_run(folder, changed)}"
        )


def _new_run(folder: RunFolder, changed: Sequence[Override]) -> str:
    """Returns how a new run takes what a resumed one may not: forked where there is a state."""
    groups = {override.key_or_group.partition(".")[0] for override in changed}
    is_one_shot = folder.command == "search" and "trials" not in folder.config.strategy
    has_state = is_one_shot and any(folder.path.glob("checkpoints/*.ckpt"))
    if not has_state or folder.objects or groups & {*FIXED, "experiment"}:
        return "start a new run"
    typed = [str(override.input_line) for override in changed]
    line = shlex.join(["nas-search", f"fork={folder.path}", "at=EPOCH", *typed])
    return f"start a new run from one of its epochs: {line}"


def _is_same(override: Override, config: Any, choices: Any) -> bool:
    name, value = override.key_or_group, override.value()
    if name in choices and str(choices[name]) == str(value):
        return True
    present = config
    for key in name.split("."):
        present = present.get(key, ABSENT) if isinstance(present, dict) else ABSENT
    if override.is_delete():
        return present is ABSENT
    return bool(present == value) or (present == {} and value == [])  # logger=[]
