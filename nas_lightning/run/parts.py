"""What searching and training have in common, made from a configuration and checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from omegaconf import DictConfig

from nas_lightning.config.making import make, parameters_of, plain_node, target_of
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.user_data import RunData, as_run_data
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Task

__all__ = ["Parts", "assemble", "check_child"]


@dataclass(frozen=True)
class Parts:
    """What searching and training have in common.

    Attributes:
        seed: seed of everything that is drawn.
        hardware: what is computed on.
        space: the search space.
        task: loss and metrics.
        data: the data set, loaded.
        recipe: how children are trained; its scale knows image shape and classes.
    """

    seed: int
    hardware: Hardware
    space: SearchSpace
    task: Task
    data: RunData
    recipe: ChildRecipe


def assemble(cfg: DictConfig, objects: Mapping[str, Any] | None = None) -> Parts:
    """Returns the parts that a configuration describes, checked against each other.

    Args:
        cfg: the configuration.
        objects: in place of a group's configuration a search space, or what makes a data set from
            seed and targets.

    Raises:
        ValueError: a value is impossible, or parts do not fit each other or the data.
    """
    if not -(2**63) <= cfg.seed < 2**63:
        raise ValueError(f"seed ({cfg.seed}) must be a number of 64 bits; use e.g. 0")
    hardware = make(cfg.hardware, "hardware")
    hardware.prepare()
    given = objects or {}
    space = given.get("search_space") or make(cfg.search_space, "search_space", kind=SearchSpace)
    task = make(cfg.task, "task", kind=Task)
    recipe = make(cfg.child, "child")
    data = as_run_data(_data(cfg, given.get("data"), task.targets), cfg.seed, task.targets)
    data.load()
    task = task.fitted(*data.target_statistics)
    task.check(data.num_outputs, recipe.label_smoothing)
    recipe = replace(recipe, scale=_fitted(recipe.scale, data, "child.scale"))
    search_scale = _fitted(space.scale, data, "search_space.scale")
    space = space.fitted(search_scale)
    hardware.check_batch("data.batch_size", data.batch_size)
    hardware.check_batch("child.batch_size", recipe.batch_size or data.batch_size)
    data.final(recipe.validation_share, recipe.batch_size, recipe.cutout)
    check_child(space, recipe.scale)
    check_child(space, search_scale)
    return Parts(cfg.seed, hardware, space, task, data, recipe)


def _data(cfg: DictConfig, given: Callable[[int, str], Any] | None, targets: str) -> Any:
    """Returns the data set that was given, made from seed and targets, else the configured one."""
    if given is not None:
        return given(cfg.seed, targets)
    return make(_of_target(cfg.data), "data", seed=cfg.seed, targets=targets)


def _of_target(node: DictConfig) -> dict[str, Any]:
    """Returns the data's node without what a user's own `_target_` finds there of ours."""
    values = plain_node(node, "data")
    target = target_of(values.get("_target_"), "data")
    if target is ImageDataModule or "source" not in values:
        return values
    ours, theirs = parameters_of(ImageDataModule, "data"), parameters_of(target, "data")
    left = {k for k, v in values.items() if k in ours and (k not in theirs or v is None)}
    return {key: value for key, value in values.items() if key not in left}


def check_child(space: SearchSpace, scale: Scale) -> None:
    """Builds some child on the meta device, to find an impossible scale early.

    Raises:
        ValueError: the space refuses the scale.
    """
    with torch.device("meta"):
        space.child(space.sample(Random(0)), scale)


def _fitted(scale: Scale, data: RunData, where: str) -> Scale:
    wanted = {"input_shape": data.input_shape, "num_outputs": data.num_outputs}
    for name, value in wanted.items():
        if (given := getattr(scale, name)) not in (None, value):
            raise ValueError(f"{where}.{name} ({given}) must be the data's, {value}; leave it null")
    return replace(scale, input_shape=data.input_shape, num_outputs=data.num_outputs)
