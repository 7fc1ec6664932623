"""A run: what every step of a command is handed, made from a configuration and checked."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from omegaconf import DictConfig

from nas_lightning.config.making import make, parameters_of, plain_node, target_of
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import known_form
from nas_lightning.data.user_data import RunData, as_run_data
from nas_lightning.evaluation.latency import Latency
from nas_lightning.loggers.dashboard import Dashboards
from nas_lightning.reports.metric import space_words
from nas_lightning.reports.terminal import say
from nas_lightning.run.data_lines import described
from nas_lightning.run.folder import LATENCY, RunFolder
from nas_lightning.run.latency import profile_of
from nas_lightning.run.limits import bounds_of, check_before_data, within_limits
from nas_lightning.search_spaces.custom import CustomSpace
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Task

__all__ = ["Parts", "Run", "assemble", "own_space"]


Check = Callable[[SearchSpace, Task, Scale], object]

LARGE = (3, 1024, 1024)  # an image that no number of reductions makes too small


@dataclass(frozen=True)
class Parts:
    """What searching and training have in common.

    The data set is loaded; the scales of `space` and `recipe` know its shape and outputs.
    """

    seed: int
    hardware: Hardware
    space: SearchSpace
    task: Task
    data: RunData
    recipe: ChildRecipe
    latency: Latency | None = None  # of the children that are delivered; None predicts none


@dataclass(frozen=True)
class Run:
    """One run of a command, from its configuration to its result.

    `loggers` see what is trained now; `objects` are what a call in Python gave in place of a
    group's configuration; `planned` are the epochs that time left for its child (see `SamePlan`),
    as which everything beside it is trained.
    """

    cfg: DictConfig
    folder: RunFolder
    parts: Parts
    loggers: Dashboards = field(default_factory=Dashboards)
    objects: Mapping[str, Any] = field(default_factory=dict)
    planned: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        cfg: DictConfig,
        folder: Path,
        objects: Mapping[str, Any] | None = None,
        check: Check | None = None,
    ) -> "Run":
        """Returns a run whose parts come from `assemble`; arguments and errors are its own.

        Raises ValueError too if the run has begun with other data.
        """
        home = RunFolder(folder)
        if home.hydra.is_dir() and (command := home.command) != "search":
            hardware, what = make(cfg.hardware, "hardware"), f"nas-{command} searches nothing"
            hardware.check_serial(what)
            hardware.check_ungraphed(what)
        split_seed = home.lineage.get("split_seed")
        parts = assemble(cfg, objects, check, home.hydra / LATENCY, split_seed)
        home.keep_data(parts.data.identity)
        return cls(cfg, home, parts, objects=objects or {})

    def announce(self) -> None:
        """Prints on what the run works and what was read, before anything takes long."""
        if self.parts.hardware.is_first:
            is_search, data = self.folder.command == "search", self.parts.data
            split = data.search_split if is_search else None
            lines = [self.subject, *described(data.facts, split), self.parts.hardware.threads_line]
            say("\n".join(lines), sys.stdout)

    @property
    def subject(self) -> str:
        """On what the run works, e.g. "data digits (8x8, 10 classes), space darts, ..."."""
        parts, scale = self.parts, self.parts.recipe.scale
        shape = parts.data.input_shape
        size = "x".join(map(str, shape[1:] if len(shape) == 3 else shape))
        option, name = self.folder.choice("data"), parts.data.name
        data = f"{option} {name}" if name not in (None, option) else f"{option}"
        number, targets = parts.data.num_outputs, parts.task.targets
        outputs = f"{number} {targets.removesuffix('s') if number == 1 else targets}"
        own = own_space(parts.space)
        words = [f"data {data} ({size}, {outputs})", f"space {space_words(parts.space.name, own)}"]
        words += [f"strategy {name}" for name in [self.folder.choice("strategy")] if name]
        words += [f"genotype {_short(self.cfg.genotype)}"] if "genotype" in self.cfg else []
        cells = f"{scale.cells} cells x " if parts.space.has_cells else ""
        words.append(f"child of {cells}{scale.channels} channels")
        words += [] if parts.space.limits is None else [f"limits: {parts.space.limits}"]
        return ", ".join(words)

    def seen_by(self, loggers: Dashboards) -> "Run":
        """Returns the same run, seen by these dashboards."""
        return replace(self, loggers=loggers)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def assemble(
    cfg: DictConfig,
    objects: Mapping[str, Any] | None = None,
    check: Check | None = None,
    latencies: Path | None = None,
    split_seed: int | None = None,
) -> Parts:
    """Returns the parts that a configuration describes, checked against each other.

    `objects` may hold a search space or a data module in place of a group's configuration, or
    arrays of the data set. `check` refuses what does not fit the space, the task and some scale;
    it is called before any image is read, unless the space's choices depend on the data.
    `latencies` is the run's own file of them; `split_seed` is of the split that a search's state
    was trained on, None for the run's own.

    Raises: ValueError: a value is impossible, or parts do not fit each other or the data.
    """
    if not -(2**63) <= cfg.seed < 2**63:
        raise ValueError(f"seed ({cfg.seed}) must be a number of 64 bits; use e.g. 0")
    bounds = bounds_of(cfg)  # a mistake in them must not wait for anything
    hardware = make(cfg.hardware, "hardware")
    hardware.prepare()
    profile = profile_of(hardware, latencies)
    objects = objects or {}
    space = objects.get("search_space") or make(cfg.search_space, "search_space", kind=SearchSpace)
    task = make(cfg.task, "task", kind=Task)
    recipe = make(cfg.child, "child")
    data = as_run_data(_data(cfg, objects.get("data"), task.targets), cfg.seed, task.targets)
    if split_seed is not None and isinstance(data, ImageDataModule):
        data.split_seed = split_seed
    if not space.needs_data:
        _check_before_data(bounds, space, task, recipe, data, check)
    hardware.check_batch("child.batch_size", recipe.batch_size or hardware.num_processes)
    data.load()
    task = task.fitted(*data.target_statistics)
    task.check(data.num_outputs, recipe.label_smoothing)
    recipe = replace(recipe, scale=_fitted(recipe.scale, data, "child.scale"))
    search_scale = _fitted(space.scale, data, "search_space.scale")
    space = space.fitted(search_scale)
    hardware.check_batch("data.batch_size", data.batch_size)
    hardware.check_batch("child.batch_size", recipe.batch_size or data.batch_size)
    data.final(recipe.validation_share, recipe.batch_size, recipe.cutout)
    _check_child(space, recipe.scale)
    _check_child(space, search_scale)
    latency = None if profile is None else Latency(space, recipe.scale, profile)
    space = within_limits(bounds, space, recipe.scale, latency)
    return Parts(cfg.seed, hardware, space, task, data, recipe, latency)


def _data(cfg: DictConfig, passed: Any, targets: str) -> Any:
    """Returns the configured data set, made of arrays that were passed, or the module passed."""
    if passed is not None and not isinstance(passed, Mapping):
        return passed
    runtime = {"seed": cfg.seed, "targets": targets, **(passed or {})}
    return make(_of_target(cfg.data), "data", **runtime)


def _of_target(node: DictConfig) -> dict[str, Any]:
    """Returns the data's node without what a user's own `_target_` finds there of ours."""
    values = plain_node(node, "data")
    target = target_of(values.get("_target_"), "data")
    if target is ImageDataModule or "source" not in values:
        return values
    ours, theirs = parameters_of(ImageDataModule, "data"), parameters_of(target, "data")
    left = {k for k, v in values.items() if k in ours and (k not in theirs or v is None)}
    return {key: value for key, value in values.items() if key not in left}


def _check_before_data(
    bounds: Mapping[str, float],
    space: SearchSpace,
    task: Task,
    recipe: ChildRecipe,
    data: RunData,
    check: Check | None,
) -> None:
    """Refuses what no data could make possible, before any is read."""
    shape, classes = _form(data)
    shape = shape or LARGE
    likely: dict[str, Any] = {"input_shape": shape, "num_outputs": 2}
    scales = []
    for scale in (recipe.scale, space.scale):
        unset = {name: value for name, value in likely.items() if getattr(scale, name) is None}
        scales.append(replace(scale, **unset))
        _check_child(space, scales[-1])
    facts: dict[str, Any] = {}
    if shape != LARGE:
        facts["input_shape"] = recipe.scale.input_shape or shape
    if classes:
        facts["num_outputs"] = classes
    check_before_data(bounds, space, replace(recipe.scale, **facts))
    if check is not None:
        with torch.random.fork_rng(devices=[]):  # what it draws for a check changes no draw later
            check(space, task, scales[-1])


def _form(data: RunData) -> tuple[tuple[int, ...] | None, int | None]:
    """Returns the shape and classes of images, None each where it is not known before reading."""
    if not isinstance(data, ImageDataModule):
        return None, None
    known, classes = known_form(data.source) or ((None, None, None), None)
    channels, sides = data.channels or known[0], data.image_size or known[1:]
    is_known = channels is not None and None not in sides
    return (channels, *sides) if is_known else None, data.num_classes or classes


def _check_child(space: SearchSpace, scale: Scale) -> None:
    """Builds some child without memory, to find an impossible scale early.

    A module of the user's own is run as well; the first run in a process takes two seconds.
    """
    genotype = space.sample(Random(0))
    if space.needs_data:
        child_cost(space, genotype, scale)
    else:
        with torch.device("meta"):
            space.child(genotype, scale)


def _fitted(scale: Scale, data: RunData, where: str) -> Scale:
    wanted = {"input_shape": data.input_shape, "num_outputs": data.num_outputs}
    for name, value in wanted.items():
        if (typed := getattr(scale, name)) not in (None, value):
            raise ValueError(f"{where}.{name} ({typed}) must be the data's, {value}; leave it null")
    return replace(scale, input_shape=data.input_shape, num_outputs=data.num_outputs)


def own_space(space: SearchSpace) -> str | None:
    """Returns what a user passes to `load_child` for a space of their own; None of ours.

    It is the dotted path of what builds the module, or of a subclass with "()".
    """
    is_built = isinstance(space, CustomSpace)
    code: Any = space.network if isinstance(space, CustomSpace) else type(space)
    code = getattr(code, "func", code)  # of a partial
    code = code if hasattr(code, "__qualname__") else type(code)
    module = code.__module__ or "__main__"  # None where the code was no file's
    if module.startswith("nas_lightning."):
        return None
    return f"{module}.{code.__qualname__}{'' if is_built else '()'}"
