"""fork=RUN_DIR at=EPOCH: a new run that starts from the state of another one after an epoch."""

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

from nas_lightning.cli.resume import (
    FIXED,
    check_configuration,
    check_unused,
    check_whole,
    named_folder,
)
from nas_lightning.config import schema
from nas_lightning.config.messages import REFUSALS
from nas_lightning.config.trust import Trust, check_version
from nas_lightning.core.checks import at_least
from nas_lightning.run.folder import FORK, RunFolder

__all__ = ["Fork", "fork_of"]

KEPT = ("epochs", "final", "on_collapse")  # of the strategy, where another one is chosen
FLAGS = ("-m", "--multirun")
COPIED = ("data.json", "sources.json")  # of .hydra


class Fork:
    """A run that is about to be forked.

    Args:
        parent: the run whose state is taken.
        epoch: after which of its epochs (0-based).
        typed: overrides of the new run, Hydra's own among them.
        trust: whom to trust for the code that the parent's folder names.

    Raises: ValueError: the parent has no such state, names code that is not trusted, or what was
        typed changes what the state belongs to.
    """

    def __init__(self, parent: RunFolder, epoch: int, typed: Sequence[str], trust: Trust) -> None:
        self.parent, self.epoch = parent, epoch
        self.home: RunFolder | None = None  # of the new run, once it has begun
        _check_parent(parent, trust)
        self.hydra = [each for each in typed if each.lstrip("+~").startswith("hydra")]
        own = {each.partition("=")[0]: each for each in parent.overrides}
        known = [*self.hydra, *own.values()]  # the parent's own, typed again, changes nothing
        self.typed = [each for each in typed if each not in known]
        self.checkpoint = _checkpoint(parent, epoch)
        self.choices: dict[str, Any] = {}  # groups of which another option was typed
        self.cfg = self._composed()
        self.changed = self._named(_changes(parent.config, self.cfg))
        self._check_changes()

    def begin(self, folder: Path, objects: Mapping[str, str] | None = None) -> RunFolder:
        """Makes the new run's folder one to be resumed, with its configuration and the state.

        `objects` are what a call in Python passes, of which the strategy may be another one.

        Raises: ValueError: there is a run in the folder already.
        """
        home, hydra = RunFolder(folder), self._settings(folder)
        check_unused(home, f"resume={shlex.quote(str(folder))}")
        self.home = home
        passed = {key: value for key, value in (objects or {}).items() if key == "strategy"}
        passed = {key: passed.get(key, value) for key, value in self.parent.objects.items()}
        home.write_configuration(self.cfg, hydra, passed)
        for name in COPIED:
            if (source := self.parent.hydra / name).is_file():
                shutil.copyfile(source, home.hydra / name)
        past = self.parent.lineage
        lineage = {
            "run": str(self.parent.path),
            "epoch": self.epoch,
            "changed": self.changed,
            "typed": [*past.get("typed", []), *self.parent.overrides],
            "split_seed": past.get("split_seed", self.parent.config.seed),
        }
        (home.hydra / FORK).write_text(json.dumps(lineage, indent=2) + "\n", encoding="utf-8")
        _run().place_state(self.checkpoint, self.parent, home, self.cfg)
        return home

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Removes the state from the folder where the block refuses a fork before it did work."""
        try:
            yield
        except REFUSALS:
            self.forget()
            raise

    def forget(self) -> None:
        """Removes the state from the folder of a fork that has done nothing yet."""
        if self.home is not None:
            _run().forget_state(self.home)

    def new_folder(self) -> Path:
        """Returns the folder that was typed, or a new one under outputs/."""
        content = OmegaConf.to_container(self.cfg)
        assert isinstance(content, dict)
        hydra = OmegaConf.to_container(self._settings(None))
        whole = OmegaConf.create({**content, **hydra})  # type: ignore[dict-item]
        return Path(str(OmegaConf.select(whole, "hydra.run.dir"))).expanduser().resolve()

    def _composed(self) -> DictConfig:
        """Returns the parent's configuration with what was typed on top."""
        cfg, groups = self.parent.config, schema.groups_of("search")
        options = [each for each in self.typed if each.lstrip("+").partition("=")[0] in groups]
        if experiments := [each for each in options if each.lstrip("+").startswith("experiment")]:
            raise ValueError(
                f"fork: {experiments[0]} sets keys of every kind; type those that are to differ"
            )
        if options:
            whole = schema.composed("search", options)
            for group in (each.lstrip("+").partition("=")[0] for each in options):
                self.choices[group] = OmegaConf.select(whole, f"hydra.runtime.choices.{group}")
                kept = {k: cfg[group][k] for k in KEPT if k in cfg[group] and k in whole[group]}
                is_strategy = group == "strategy"
                cfg[group] = OmegaConf.merge(whole[group], kept if is_strategy else {})
        with TemporaryDirectory() as scratch:
            OmegaConf.save(cfg, Path(scratch, "config.yaml"))
            with initialize_config_dir(scratch, version_base="1.3"):
                return compose("config", [each for each in self.typed if each not in options])

    def _settings(self, folder: Path | None) -> DictConfig:
        """Returns Hydra's own configuration of the new run."""
        hydra = schema.split(schema.composed("search", self.hydra))[1]
        source = self.parent.setting("runtime.choices") or {}
        choices = {str(key): value for key, value in source.items()} | self.choices
        own = [f"fork={self.parent.path}", f"at={self.epoch}", *self.typed]
        with open_dict(hydra):
            OmegaConf.update(hydra, "hydra.mode", "RUN")
            OmegaConf.update(hydra, "hydra.overrides.task", own)
            OmegaConf.update(hydra, "hydra.overrides.hydra", self.hydra)
            OmegaConf.update(hydra, "hydra.runtime.choices", choices, force_add=True)
            OmegaConf.update(hydra, "hydra.runtime.cwd", str(self.parent.started_in))
            OmegaConf.update(hydra, "hydra.job.config_name", "search")
            if folder is not None:
                OmegaConf.update(hydra, "hydra.runtime.output_dir", str(folder))
                OmegaConf.update(hydra, "hydra.run.dir", str(folder))
        return hydra

    def _named(self, changed: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Returns changes with the options of a group in the place of the classes they make."""
        old, named = self.parent.setting("runtime.choices") or {}, dict(changed)
        for group, option in self.choices.items():
            if named.pop(f"{group}._target_", None):
                named[group] = [old.get(group), option]
        return dict(sorted(named.items()))

    def _check_changes(self) -> None:
        if "trials" in self.cfg.strategy:
            raise ValueError(
                f"fork: strategy={self.choices.get('strategy')} trains children of their own and "
                "has no use for a supernet's state; choose a one-shot strategy such as "
                "strategy=darts, or start a new search"
            )
        groups = {key: key.partition(".")[0] for key in self.changed}
        names = [group if group in self.choices else key for key, group in groups.items()]
        if fixed := [each for each in dict.fromkeys(names) if each.partition(".")[0] in FIXED]:
            raise ValueError(
                f"fork: {', '.join(fixed)} must be as in the run {self.parent.path}, whose state "
                "belongs to its search space, scale, data and task; leave them out, or start a new "
                "search"
            )
        epochs, is_bound = self.cfg.strategy.get("epochs"), _is_bound(self.cfg)
        if epochs is not None and not is_bound and epochs <= self.epoch:
            raise ValueError(
                f"strategy.epochs ({epochs}) must be at least {self.epoch + 1}, the epochs that "
                f"are done at={self.epoch}; use e.g. {self.epoch + 5}"
            )


def fork_of(arguments: Sequence[str], command: str, trust: Trust) -> Fork | None:
    """Returns the fork that the arguments of a command ask for, None without fork=.

    Raises: ValueError: it is impossible (see `Fork`), or stands beside resume= or a sweep.
    """
    parent = named_folder("fork", arguments)
    at = [each.removeprefix("at=") for each in arguments if each.startswith("at=")]
    if parent is None:
        if at and command == "search":
            raise ValueError(f"at={at[-1]} has no effect: it goes with fork=RUN_DIR")
        return None
    if command != "search":
        raise ValueError(f"fork= goes with nas-search, not with nas-{command}; leave it out")
    if any(each.startswith("resume=") for each in arguments):
        raise ValueError(
            "fork= starts a new run and resume= goes on with one; leave one of them out"
        )
    typed = [each for each in arguments if not each.startswith(("fork=", "at=", "trust="))]
    if flags := [each for each in typed if each.startswith("-")]:
        what = "starts one run, no sweep" if flags[0] in FLAGS else f"takes no {flags[0]}"
        raise ValueError(f"fork= {what}; leave {flags[0]} out")
    if not at or not at[-1].isdecimal():
        _check_parent(parent, trust)
        raise ValueError(
            f"at ({at[-1] if at else 'missing'}) must be an epoch (0-based) of {parent.path}; "
            f"{_kept(_run().kept_epochs(parent))}"
        )
    return Fork(parent, int(at[-1]), typed, trust)


def _run() -> Any:
    """Returns `run.forked`, imported now: it needs torch."""
    return import_module("nas_lightning.run.forked")


def _check_parent(parent: RunFolder, trust: Trust) -> None:
    check_whole(parent, "search", "fork")
    check_version(parent.version(), f"fork: the run in {parent.path}")
    check_configuration(parent, "search", trust)
    if "trials" in parent.config.strategy:
        raise ValueError(
            f"fork: {parent.path} is a black-box search, which has no epochs to start from; fork a "
            "one-shot search, such as one of strategy=darts"
        )


def _checkpoint(parent: RunFolder, epoch: int) -> Path:
    at_least("at", epoch, 0)
    kept: Mapping[int, Path] = _run().kept_epochs(parent)
    if epoch not in kept:
        raise ValueError(f"fork: {parent.path} has no state of epoch {epoch}; {_kept(kept)}")
    return kept[epoch]


def _kept(kept: Mapping[int, Path]) -> str:
    listed = ", ".join(map(str, sorted(kept))) or "none"
    return f"kept are: {listed}; a search with checkpoints.every=1 keeps every one"


def _is_bound(cfg: DictConfig) -> bool:
    return cfg.get("max_seconds") is not None or cfg.get("max_seconds_in_all") is not None


def _changes(before: DictConfig, now: DictConfig) -> dict[str, list[Any]]:
    """Returns by key the value before and now, where they differ; null where there is none."""
    old, new = (_flat(OmegaConf.to_container(cfg, resolve=False)) for cfg in (before, now))
    keys = sorted({*old, *new})
    return {key: [old.get(key), new.get(key)] for key in keys if old.get(key) != new.get(key)}


def _flat(node: Any, start: str = "") -> dict[str, Any]:
    if not isinstance(node, dict) or (not node and start):
        return {start: node}
    return {
        name: value
        for key, part in node.items()
        for name, value in _flat(part, f"{start}.{key}" if start else str(key)).items()
    }
