"""child.init: the params that a child starts from, read once, when its training starts."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from nas_lightning.callbacks.checkpoint_file import resumable
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.head import head_tensors, load_params
from nas_lightning.core.search_space import inherit
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.deployment.stored import read_stored
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.origin import run_of
from nas_lightning.run.run import Run

__all__ = ["check_init_of_search", "check_init_of_train", "check_no_init", "initialise"]

SUPERNET = "supernet"
PREFIX = "supernet."  # of the supernet's tensors in the checkpoint of a search


def check_no_init(run: Run) -> None:
    """Raises ValueError where child.init is set, which only nas-search and nas-train read."""
    if (init := run.parts.recipe.init) is not None:
        raise ValueError(f"child.init ({init}) has no effect in this command; leave it out")


def check_init_of_train(run: Run) -> None:
    """Refuses child.init=supernet where genotype= names no search with a supernet of this scale.

    Raises: ValueError: there is no supernet, or it is of another scale than the child.
    """
    if run.parts.recipe.init != SUPERNET or resumable(run.folder / "child"):
        return
    path, scale = _supernet_file(run), run.parts.recipe.scale
    if not path.is_file():
        raise ValueError(
            "child.init (supernet) must be the folder of a run in nas-train, which has no "
            "supernet, unless genotype is the folder of a one-shot search; give child.init=RUN_DIR"
        )
    with torch.device("meta"):  # only the shapes are looked at
        supernet = run.parts.space.supernet(scale)
    try:
        load_params(supernet, _supernet_params(path), ())
    except ValueError as error:
        origin = RunFolder(path.parent.parent).config
        wanted = OmegaConf.to_container(OmegaConf.select(origin, "search_space.scale") or {})
        changes = _changes(wanted, run)  # type: ignore[arg-type]
        raise ValueError(
            f"child.init (supernet) needs a child of the supernet's scale, but {error}; "
            + (f"set {changes}" if changes else "set search_space and child.scale as it has them")
        ) from None


def check_init_of_search(run: Run, strategy: object) -> None:
    """Refuses a child.init that the child to be found could not start from.

    Raises: ValueError: it is no supernet's, there is no supernet or no child, or the child's scale
        is not the supernet's.
    """
    init = run.parts.recipe.init
    if init is None:
        return
    if init != SUPERNET:
        raise ValueError(
            f"child.init ({init}) must be null or supernet in nas-search: what it finds is no "
            f"child of that run; train that one: nas-train genotype={init} child.init={init}"
        )
    if not run.cfg.retrain:
        raise ValueError("child.init (supernet) has no effect with retrain=false; leave one out")
    if not isinstance(strategy, OneShotStrategy):
        raise ValueError(
            f"child.init (supernet) needs a supernet, and strategy {type(strategy).__name__} "
            "trains none; choose a one-shot strategy such as strategy=darts, or leave it out"
        )
    last = strategy.stage(strategy.epochs - 1).of(run.parts.space.scale)
    if changes := _changes(asdict(last), run):
        raise ValueError(
            f"child.init (supernet) needs a child of the supernet's scale; set {changes}"
        )


def initialise(run: Run, genotype: Genotype, network: nn.Module) -> None:
    """Copies the params that child.init names into a new child.

    Raises: ValueError: they are of another genotype or scale; the message names the first tensor.
    """
    init = run.parts.recipe.init
    if init == SUPERNET:
        _inherit(run, network)
    elif init is not None:
        _take_over(run, genotype, network, init)


def _supernet_file(run: Run) -> Path:
    """Returns where the search keeps its supernet: this run, or that which genotype= names."""
    origin = run_of(run.cfg.genotype) if "genotype" in run.cfg else None
    return (origin or run.folder) / "checkpoints" / "last.ckpt"


def _supernet_params(path: Path) -> dict[str, Tensor]:
    content = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {k.removeprefix(PREFIX): v for k, v in content.items() if k.startswith(PREFIX)}


def _inherit(run: Run, network: nn.Module) -> None:
    path = _supernet_file(run)
    try:
        inherit(network, _supernet_params(path))
    except (KeyError, RuntimeError) as error:  # a cap ended the search before its last stage
        raise ValueError(
            f"child.init (supernet): the supernet in {path} is smaller than the child ({error}); "
            "leave it out, or raise max_samples"
        ) from error


def _take_over(run: Run, genotype: Genotype, network: nn.Module, init: str) -> None:
    card, params = read_stored(init)
    scale = run.parts.recipe.scale
    there, here = card["scale"]["num_outputs"], scale.outputs()
    head = () if there == here else head_tensors(run.parts.space, genotype, scale)
    try:
        load_params(network, params, head)
    except ValueError as error:
        changes = _changes(card["scale"], run)
        cure = f"set {changes}" if changes else f"give genotype={init}"
        raise ValueError(
            f"child.init ({init}) must hold a child of this genotype and scale, but {error}; {cure}"
        ) from None
    _check_genotype(Genotype.from_json(card["genotype"]), genotype, init)
    if run.parts.hardware.is_first:
        print(f"child.init: {_told(params, head, init, there, here)}", flush=True)


def _told(
    params: Mapping[str, Tensor], head: tuple[str, ...], init: str, there: int, here: int
) -> str:
    if not head:
        return f"all {len(params)} tensors of {init}"
    return (
        f"{len(params) - len(head)} of {len(params)} tensors of {init}; the head "
        f"({', '.join(head)}) starts anew, with {here} outputs instead of {there}"
    )


def _check_genotype(there: Genotype, here: Genotype, init: str) -> None:
    if there.id == here.id:
        return
    choices = {**there.mapping, **here.mapping}
    name = next((n for n in choices if there.mapping.get(n) != here.mapping.get(n)), "space")
    raise ValueError(
        f"child.init ({init}) must hold a child of this genotype ({here.id}), but holds one of "
        f"{there.id}: {name} is {there.mapping.get(name, there.space)} there, "
        f"{here.mapping.get(name, here.space)} here; give genotype={init}"
    )


def _changes(wanted: Mapping[str, Any], run: Run) -> str:
    """Returns the overrides that give a run's child another scale.

    What the data say is left out, and what the space's networks do not depend on.
    """
    left_out = ("input_shape", "num_outputs", *run.parts.space.ignored_scale)
    present = asdict(run.parts.recipe.scale)
    names = (n for n in wanted if n in present and n not in left_out and wanted[n] != present[n])
    return " ".join(f"child.scale.{name}={str(wanted[name]).lower()}" for name in names)
