"""The commands as calls in Python: the same files and the same result as on the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.cli import launch
from nas_lightning.cli.arguments import GroupArguments, typed_value
from nas_lightning.cli.command_line import with_home
from nas_lightning.cli.interruption import interruption_of
from nas_lightning.cli.resume import check_resumable, check_unused
from nas_lightning.config import schema
from nas_lightning.config.help import options_of
from nas_lightning.config.making import make
from nas_lightning.config.messages import REFUSALS, message_of
from nas_lightning.config.trust import Trust
from nas_lightning.core.checks import unknown_name
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.run.finished import FinishedRun
from nas_lightning.run.folder import Before, RunFolder, RunLock
from nas_lightning.run.origin import SPACE, begun, run_of, scale_of, with_own_parts
from nas_lightning.run.shown import ShownGenotype, shown

__all__ = ["load_genotype", "search", "show", "train"]

SHOWN = ("channels", "cells", "stem", "input_shape", "num_outputs")


def search(
    data: Any = None,
    *,
    search_space: Any = None,
    strategy: Any = None,
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    resume: bool = False,
    **settings: Any,
) -> FinishedRun:
    """Searches a network for a data set, trains and tests it; `nas-search` as a call.

    Args:
        data: the name of an option such as "digits", a path of images, a LightningDataModule, or
            arrays (x, y) or (x, y, x_test, y_test), or the arguments of `data_of_arrays` such as
            {"x": x, "y": y, "kind": "signals"}: images (N, H, W), (N, H, W, C) or (N, C, H, W),
            signals (N, C, L), or tables of numbers (N, features); or arrays by name, {"x_train":
            ...}; a data frame and its label column, (frame, "label"); a `Dataset` of images.
        search_space: the name of an option, a `SearchSpace`, or a class or function that builds a
            module with `OneOf`, `Optional` or `Repeat`.
        strategy: the name of an option, or what makes a strategy from a space and a seed, e.g.
            `functools.partial(nl.Darts, epochs=3)`.
        overrides: further settings as on the command line, e.g. ["child.epochs=3"].
        folder: where the run's files go; None takes a new folder under outputs/.
        resume: whether an interrupted run in `folder` is resumed, with the same arguments.
        settings: groups by the name of an option (evaluation, objective, task, child, hardware,
            callbacks, logger, experiment) and scalars (seed, retrain, max_samples,
            max_seconds, max_seconds_in_all, export).

    Raises: ValueError: a value is impossible, or the run cannot be resumed.
    """
    groups = {"data": data, "search_space": search_space, "strategy": strategy}
    return _called("search", groups, settings, overrides, folder, resume)


def train(
    genotype: str | Path | Genotype,
    data: Any = None,
    *,
    search_space: Any = None,
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    resume: bool = False,
    trust: bool = False,
    **settings: Any,
) -> FinishedRun:
    """Trains and tests the child of a genotype; `nas-train` as a call.

    A run's folder brings its search space, data, task and child, unless they are given here.

    Args:
        genotype: a genotype, a published name such as "darts_v2", a file, a run's folder, or text.
        data: as for `search`.
        search_space: as for `search`; a published name brings its own.
        overrides: as for `search`.
        folder: as for `search`.
        resume: as for `search`.
        trust: whether code of others that the run's folder names may be imported and called.
        settings: groups (task, child, hardware, callbacks, logger) and scalars (seed, baselines,
            export).

    Raises: ValueError: a value is impossible, or the run cannot be resumed.
    """
    objects = {}
    if isinstance(genotype, Genotype):
        search_space = _space_of(genotype, search_space)
        objects["genotype"], genotype = genotype, genotype.id
    groups = {"data": data, "search_space": search_space}
    settings = {**settings, "genotype": str(genotype)}
    return _called("train", groups, settings, overrides, folder, resume, objects, trust)


def show(
    genotype: str | Path | Genotype,
    search_space: Any = None,
    *,
    trust: bool = False,
    **scale: Any,
) -> ShownGenotype:
    """Returns a genotype drawn and measured; `nas-show` as a call.

    Args:
        genotype: a genotype, a published name such as "darts_v2", a file, a run's folder, or text.
        search_space: as for `search`; None takes the genotype's own.
        trust: whether code of others that the run's folder names may be imported and called.
        scale: size of the child where it is not that of the run, or the published one: channels,
            cells, stem, input_shape, num_outputs.

    Raises: ValueError: there is no such genotype, or it is of another space.
    """
    text = "" if isinstance(genotype, Genotype) else str(genotype)
    if isinstance(genotype, Genotype):
        search_space = _space_of(genotype, search_space)
    if unknown := [key for key in scale if key not in SHOWN]:
        raise TypeError(unknown_name("argument", unknown[0], SHOWN))
    arguments = GroupArguments({"search_space": search_space})
    space = arguments.space
    trusted = Trust.of(trust, arguments.overrides)
    if space is None:
        whole = _composed("show", [*arguments.overrides, f"genotype={typed_value(text)}"])
        cfg = with_own_parts(schema.split(whole)[0], arguments.overrides, SPACE, trusted)
        space = make(cfg.search_space, "search_space", kind=SearchSpace)
    home = run_of(text) if text else None
    size = None if home is None else scale_of(home, trusted)
    return shown(genotype if isinstance(genotype, Genotype) else text, space, scale, size)


def load_genotype(
    genotype: str | Path, search_space: Any = None, *, trust: bool = False
) -> Genotype:
    """Returns a genotype, which a notebook draws; arguments and errors are those of `show`."""
    shown_genotype = show(genotype, search_space, trust=trust)
    return replace(shown_genotype.genotype, drawing=shown_genotype.drawing)


def _called(
    command: str,
    groups: Mapping[str, Any],
    settings: Mapping[str, Any],
    overrides: Sequence[str],
    folder: str | Path | None,
    resume: bool,
    objects: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> FinishedRun:
    """Returns what a command leaves that is called with these arguments."""
    if resume and folder is None:
        raise ValueError("resume=True needs the run's folder; give folder=RUN_DIR")
    if isinstance(overrides, str | Mapping):
        raise ValueError(f'overrides ({overrides!r}) must be a list, e.g. ["child.epochs=3"]')
    known = (*schema.keys_of(command), "experiment", "overrides", "folder", "resume")
    if unknown := [key for key in settings if key not in known]:
        raise TypeError(
            f"{unknown_name('argument', unknown[0], known)}; every other key goes to "
            'overrides=["KEY=VALUE"], e.g. "strategy.epochs=3"'
        )
    named = {key: value for key, value in settings.items() if key in schema.groups_of(command)}
    scalars = [f"{key}={typed_value(settings[key])}" for key in settings if key not in named]
    arguments = GroupArguments({**groups, **named}, overrides)
    arguments.objects |= objects or {}
    whole = _composed(command, [*arguments.overrides, *scalars, *map(with_home, overrides)])
    cfg, hydra = schema.split(whole)
    arguments.put_into(cfg, hydra)
    path = _new_folder(cfg, hydra) if folder is None else folder
    home = RunFolder(Path(str(path)).expanduser().resolve())
    job = _job(command, cfg, arguments)
    if resume:
        _check_same(home, command, cfg, arguments)
    lock, threads = RunLock(), torch.get_num_threads()
    before = Before.of(home.path)
    lock.take(home.path)
    try:
        if not resume:
            _write_configuration(home, cfg, hydra, arguments)
            cfg = begun(command, cfg, home, Trust.of(trust, overrides), arguments.objects)
        with torch.random.fork_rng(devices=[]):  # the caller's draws go on as if nothing had run
            launch.run(command, job, schema.typed(cfg, command), home.path)
    except REFUSALS:
        lock.forget(home.path, before)
        raise
    except SystemExit as error:  # Lightning's answer to Control-C
        if interruption_of(error):
            raise KeyboardInterrupt(f"resume it: folder={str(home.path)!r}, resume=True") from None
        raise
    finally:
        lock.release()
        torch.set_num_threads(threads)
    return FinishedRun(home.path, arguments.space, is_own=not resume)


def _new_folder(cfg: DictConfig, hydra: DictConfig) -> str:
    """Returns the folder that a run's configuration names, objects in place of groups."""
    whole = OmegaConf.create({**_plain(cfg), **_plain(hydra)})
    return str(OmegaConf.select(whole, "hydra.run.dir"))


def _plain(cfg: DictConfig) -> dict[Any, Any]:
    content = OmegaConf.to_container(cfg)
    assert isinstance(content, dict)
    return content


def _space_of(genotype: Genotype, search_space: Any) -> Any:
    """Returns the search space that was passed, or the option of a genotype's own."""
    if search_space is not None:
        return search_space
    if genotype.space == "custom":
        raise ValueError(
            "the genotype is of a module of your own; give it: search_space=Net, or the space"
        )
    options = sorted(options_of("search_space"), key=len)  # darts before darts_s4
    own = [name for name in options if name.startswith(genotype.space)]
    return next((name for name in own if _holds(name, genotype)), genotype.space)


def _holds(option: str, genotype: Genotype) -> bool:
    """Returns whether the genotype is one of an option's space."""
    node = _composed("show", [f"search_space={option}", "genotype=none"]).search_space
    try:
        make(node, "search_space", kind=SearchSpace).validate(genotype)
    except ValueError:
        return False
    return True


def _composed(command: str, overrides: Sequence[str]) -> DictConfig:
    try:
        return schema.composed(command, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(message_of(error)) from error


def _job(command: str, cfg: DictConfig, arguments: GroupArguments) -> launch.Job:
    job = launch.job_of(command)
    if not arguments.objects:
        return job
    if (number := launch.num_processes(cfg)) > 1:
        raise ValueError(
            f"hardware.devices ({number}) must be 1 where {', '.join(arguments.objects)} are "
            "objects, which other processes cannot be given; name an option instead"
        )
    return partial(job, objects=arguments.objects)


def _write_configuration(
    home: RunFolder, cfg: DictConfig, hydra: DictConfig, arguments: GroupArguments
) -> None:
    check_unused(home, "resume=True")
    with open_dict(hydra):
        OmegaConf.update(hydra, "hydra.mode", "RUN")
        OmegaConf.update(hydra, "hydra.runtime.output_dir", str(home.path))
        OmegaConf.update(hydra, "hydra.run.dir", str(home.path))
    home.write_configuration(cfg, hydra, arguments.identities)


def _check_same(home: RunFolder, command: str, cfg: DictConfig, arguments: GroupArguments) -> None:
    """Refuses to resume a run that was started with another configuration or other objects."""
    check_resumable(home, command)
    changed = [key for key in cfg if cfg[key] != home.config.get(key)]
    own, passed = home.objects, arguments.identities
    changed += [key for key in {**own, **passed} if own.get(key) != passed.get(key)]
    if changed := list(dict.fromkeys(changed)):
        raise ValueError(
            f"resume: not the run's own: {', '.join(map(str, changed))}; the run in {home.path} "
            "keeps its configuration; give what it was started with, or start a new run"
        )
