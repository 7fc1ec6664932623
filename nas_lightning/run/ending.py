"""Which epoch a one-shot search ends with: strategy.final, and what becomes of a collapse."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf

from nas_lightning.callbacks.checkpoint import RunCheckpoint
from nas_lightning.callbacks.checkpoint_file import BEFORE, BEST, LAST, read_checkpoint
from nas_lightning.callbacks.collapse import CollapseSentinel, is_before_collapse, sentinel_of
from nas_lightning.core.checks import at_least, one_of
from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.run import Run
from nas_lightning.training.supernet import SupernetModule

__all__ = ["check_ending", "check_no_ending", "end_of", "ending_notes", "keeper_of"]

FILES = {"last": LAST, "best": BEST, "before_collapse": BEFORE}  # by strategy.final
ANSWERS = ("warn", "stop")  # to a collapse


def check_ending(
    cfg: DictConfig, strategy: OneShotStrategy, sentinel: CollapseSentinel | None
) -> None:
    """Refuses impossible values of strategy.final, strategy.on_collapse and checkpoints.every.

    Raises: ValueError: a value is unknown, or needs the sentinel, which was left out; or the
        sentinel is to measure a curvature that there is not.
    """
    every = None if sentinel is None else sentinel.eigenvalue_every
    if every is not None and not strategy.scores().weights.requires_grad:
        raise ValueError(
            f"callbacks.collapse.eigenvalue_every ({every}) needs a strategy "
            f"whose scores are a function of alphas, not {type(strategy).__name__}; leave it null, "
            "or use one such as strategy=darts"
        )
    final, answer = _final(cfg), _answer(cfg)
    at_least("checkpoints.every", _every(cfg), 1)
    one_of("strategy.final", final, FILES)
    one_of("strategy.on_collapse", answer, ANSWERS)
    needs = {"strategy.final": final == "before_collapse", "strategy.on_collapse": answer == "stop"}
    for key in (key for key, is_needed in needs.items() if is_needed and sentinel is None):
        raise ValueError(
            f"{key} ({final if key == 'strategy.final' else answer}) needs the collapse sentinel, "
            "which callbacks does not have; leave callbacks as it is, or use callbacks=silent"
        )


def check_no_ending(cfg: DictConfig, strategy: BlackBoxStrategy, folder: RunFolder) -> None:
    """Refuses what a black-box strategy would ignore, unless in a sweep of both kinds.

    Raises: ValueError: strategy.final, strategy.on_collapse or checkpoints.every was given.
    """
    given: dict[str, tuple[object, object]] = {
        "strategy.final": (_final(cfg), "last"),
        "strategy.on_collapse": (_answer(cfg), "warn"),
    }
    given["checkpoints.every"] = (_every(cfg), None)
    for key, (value, default) in given.items():
        if value != default and not folder.is_of_sweep:
            raise ValueError(
                f"{key}={value} has no effect: strategy {type(strategy).__name__} trains "
                "no supernet and ends with its best trial; leave it out, or choose a one-shot "
                "strategy such as strategy=darts"
            )


def keeper_of(run: Run) -> RunCheckpoint:
    """Returns what saves the epochs of a search that it may end with."""
    task, final = run.parts.task, _final(run.cfg)
    return RunCheckpoint(
        run.folder / "checkpoints",
        f"search/validation_{task.metric}" if final == "best" else None,
        task.higher_is_better,
        is_before_collapse if final == "before_collapse" else None,
        _every(run.cfg),
    )


def end_of(run: Run, module: SupernetModule, trainer: L.Trainer) -> dict[str, Any]:
    """Takes a trained module back to the epoch that the search ends with; returns its figures.

    They are strategy.final, that epoch and the last one (0-based), what was seen of a collapse,
    whether that or the strategy ended the search, and what the strategy has to say.
    """
    keeper = next(each for each in trainer.callbacks if isinstance(each, RunCheckpoint))  # type: ignore[attr-defined]
    sentinel, final = sentinel_of(trainer.callbacks), _final(run.cfg)  # type: ignore[attr-defined]
    collapse = None if sentinel is None else sentinel.collapse
    name = LAST if final == "before_collapse" and collapse is None else FILES[final]
    is_early = keeper.epochs[LAST] + 1 < (trainer.max_epochs or 0)
    was_ended, notes = is_early and module.strategy.is_over, module.strategy.notes()
    if keeper.epochs[name] != keeper.epochs[LAST]:
        module.go_back(read_checkpoint(keeper.folder / name))
    return {
        "final": final,
        "final_epoch": keeper.epochs[name],
        "last_epoch": keeper.epochs[LAST],
        "collapse": collapse,
        "stopped_by_collapse": bool(collapse) and is_early and _answer(run.cfg) == "stop",
        "stopped_by_strategy": was_ended,
        "notes": notes,
    }


def ending_notes(search: Mapping[str, Any]) -> list[str]:
    """Returns the strategy's notes, those of a collapse, and of an epoch that is not the last."""
    notes = [*search.get("notes", [])]
    if collapse := search.get("collapse"):
        stopped = search["stopped_by_collapse"]
        does = "which ended it (strategy.on_collapse=stop)" if stopped else "and it went on"
        notes.append(
            f"the search collapsed from epoch {collapse['epoch']} (0-based) on: in epoch "
            f"{collapse['seen']} {collapse['parameter_free_share']:.0%} of the preferred "
            f"operations had no parameters, {does}"
        )
    if "final" in search and search["final_epoch"] != search["last_epoch"]:
        notes.append(
            f"the genotype is that of epoch {search['final_epoch']} of 0 to "
            f"{search['last_epoch']} (strategy.final={search['final']})"
        )
    return notes


def _every(cfg: DictConfig) -> int | None:
    every: int | None = OmegaConf.select(cfg, "checkpoints.every")
    return every


def _final(cfg: DictConfig) -> str:
    return str(cfg.strategy.get("final", "last"))


def _answer(cfg: DictConfig) -> str:
    return str(cfg.strategy.get("on_collapse", "warn"))
