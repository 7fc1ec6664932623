"""The commands as calls in Python: the same files and the same result as on the command line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas_lightning.cli.arguments import GroupArguments, typed_value
from nas_lightning.cli.call import Call, composed
from nas_lightning.config import schema
from nas_lightning.config.help import options_of
from nas_lightning.config.making import make
from nas_lightning.config.trust import Trust
from nas_lightning.core.checks import unknown_name
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.run.finished import FinishedRun
from nas_lightning.run.origin import SPACE, run_of, scale_of, with_own_parts
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
    fork: str | Path | None = None,
    at: int | None = None,
    trust: bool = False,
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
        resume: whether an interrupted run in `folder` is resumed, with its own configuration:
            objects are passed again, and what else is given must be as it was.
        fork: the folder of a run from whose state a new one starts, with that run's configuration
            and what else is given; objects are passed again (see docs/fork.md).
        at: after which of its epochs (0-based).
        trust: whether code of others that the folder of a resumed or forked run names may be
            called.
        settings: groups by the name of an option (evaluation, objective, task, child, hardware,
            callbacks, logger, experiment), scalars (seed, retrain, max_samples, max_seconds,
            max_seconds_in_all, export), and limits of the child, e.g. {"parameters": 50_000}; see
            docs/limits.md.

    Raises: ValueError: a value is impossible, or the run cannot be resumed.
    """
    groups = {"data": data, "search_space": search_space, "strategy": strategy}
    if trust and not (resume or fork):
        raise ValueError(
            "trust=True has no effect: it goes with resume=True or fork=RUN_DIR; leave it out"
        )
    call = Call("search", groups, settings, overrides)
    if fork is not None or at is not None:
        return call.fork(fork, at, resume, folder, trust)
    return call.resume(folder, trust) if resume else call.start(folder)


def train(
    genotype: str | Path | Genotype | None = None,
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
        genotype: as for `show`; a resumed run has its own.
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
    if genotype is None and not resume:
        raise ValueError("genotype is missing; give e.g. 'darts_v2', a file, or a run's folder")
    objects = {}
    if isinstance(genotype, Genotype):
        search_space = _space_of(genotype, search_space)
        objects["genotype"], genotype = genotype, genotype.id
    if genotype is not None:
        settings["genotype"] = str(genotype)
    groups = {"data": data, "search_space": search_space}
    call = Call("train", groups, settings, overrides, objects)
    return call.resume(folder, trust) if resume else call.start(folder, trust)


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
        whole = composed("show", [*arguments.overrides, f"genotype={typed_value(text)}"])
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


def _space_of(genotype: Genotype, search_space: Any) -> Any:
    """Returns the search space that was passed, or the option of a genotype's own."""
    if search_space is not None:
        return search_space
    if genotype.space == "custom":
        raise ValueError(
            "the genotype is of a module of your own; give it: search_space=Net, or the space"
        )
    options = sorted(options_of("search_space"), key=len)  # darts before darts_s4
    named = [name for name in options if name.startswith(genotype.space)]
    return next((name for name in named if _holds(name, genotype)), genotype.space)


def _holds(option: str, genotype: Genotype) -> bool:
    """Returns whether the genotype is one of an option's space."""
    node = composed("show", [f"search_space={option}", "genotype=none"]).search_space
    try:
        make(node, "search_space", kind=SearchSpace).validate(genotype)
    except ValueError:
        return False
    return True
