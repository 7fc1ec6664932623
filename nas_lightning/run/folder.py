"""The folders of runs and sweeps, and their locks; nothing else reads what Hydra left there."""

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nas_lightning import __version__
from nas_lightning.config.reading import read_config, read_settings
from nas_lightning.core.same_data import Identity, check_same
from nas_lightning.files import LockedError, ProcessLock, write_json, write_text

__all__ = [
    "CONFIG",
    "FORK",
    "HYDRA",
    "LATENCY",
    "OVERRIDES",
    "RESULT",
    "SWEEP_FILE",
    "Before",
    "RunFolder",
    "RunLock",
]

HYDRA = ".hydra"
CONFIG, SETTINGS, OVERRIDES = "config.yaml", "hydra.yaml", "overrides.yaml"  # in this order
SWEEP_FILE = "multirun.yaml"  # a sweep's settings, written before its first job
VERSION = "nas_lightning.txt"  # the version that started the run
DATA = "data.json"  # what tells the run's data from others
LATENCY = "latency.json"  # from which the run predicts
FORK = "fork.json"  # from which run's state it started
OBJECTS = "objects.json"  # what a call in Python passed in place of a configuration
RESULT = "result.json"
PROGRESS = (RESULT, "trials.jsonl", "proxies.csv", "fidelity.csv", "*/last.ckpt")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, or of a sweep, at a path."""

    path: Path

    @property
    def is_run(self) -> bool:
        """Whether it holds a run's configuration."""
        return self.config_file.is_file()

    @property
    def is_sweep(self) -> bool:
        """Whether it holds a sweep."""
        return (self.path / SWEEP_FILE).is_file()

    @property
    def is_whole(self) -> bool:
        """Whether all of a run's configuration was written."""
        last = self.hydra / OVERRIDES
        return last.is_file() and bool(last.read_text(encoding="utf-8"))

    @property
    def has_progress(self) -> bool:
        """Whether a run got somewhere: a new one would mix up their files."""
        return any(path for pattern in PROGRESS for path in self.path.glob(pattern))

    def __truediv__(self, name: str) -> Path:
        """Returns the path of a file in the folder."""
        return self.path / name

    @property
    def hydra(self) -> Path:
        """Where the configuration lies."""
        return self.path / HYDRA

    @property
    def settings(self) -> DictConfig:
        """Hydra's own configuration of the run or the sweep."""
        path = self / SWEEP_FILE if self.is_sweep else self.hydra / SETTINGS
        return read_settings(path)

    @property
    def config(self) -> DictConfig:
        """The run's configuration, as it was composed."""
        return read_config(self.config_file)

    @property
    def config_file(self) -> Path:
        """The file of the run's configuration."""
        return self.hydra / CONFIG

    @property
    def overrides(self) -> list[str]:
        """What was typed for the run or the sweep."""
        if self.is_sweep:
            return [str(override) for override in self.setting("overrides.task") or ()]
        return [str(override) for override in OmegaConf.load(self.hydra / OVERRIDES)]

    @property
    def command(self) -> str:
        """The command's name, e.g. "search"."""
        return str(self.setting("job.config_name"))

    @property
    def command_line(self) -> str:
        """What starts the run again: a line to paste into a shell, or a call in Python."""
        if not self.objects:
            return shlex.join([f"nas-{self.command}", *self.overrides, *self._own_options])
        passed = [f"{group}=<{self.objects[group]}>" for group in self.objects]
        overrides = [override for override in self.overrides if override != "data=arrays"]
        return f"nl.{self.command}({', '.join([*passed, f'overrides={overrides}'])})"

    @property
    def _own_options(self) -> list[str]:
        """What was typed to name folders of the user's own options."""
        hydra = [str(override) for override in self.setting("overrides.hydra") or ()]
        return [each for each in hydra if "hydra.searchpath=" in each] + self.config_dirs

    @property
    def config_dirs(self) -> list[str]:
        """The flags --config-dir that the run or the sweep was started with."""
        sources = self.setting("runtime.config_sources") or ()
        return [f"--config-dir={s.path}" for s in sources if s.provider == "command-line"]

    @property
    def objects(self) -> dict[str, str]:
        """By group what tells apart an object that a call in Python passed; else empty."""
        path = self.hydra / OBJECTS
        content: dict[str, str] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return content

    @property
    def lineage(self) -> dict[str, Any]:
        """From which run it was forked: "run", "epoch", "changed" and more; empty if from none."""
        path = self.hydra / FORK
        content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return content

    @property
    def is_of_sweep(self) -> bool:
        """Whether the run was started as a job of a sweep."""
        return str(self.setting("mode")) == "MULTIRUN"

    @property
    def sweep(self) -> Path | None:
        """The folder of the sweep that the run is a job of; None if it is none."""
        if not self.is_of_sweep:
            return None
        depth = len(Path(str(self.setting("sweep.subdir"))).parts)
        return self.path.resolve().parents[depth - 1]

    @property
    def started_in(self) -> Path:
        """The folder in which relative paths begin: where it was started, else the present one."""
        folder = Path(str(self.setting("runtime.cwd")))
        return folder if folder.is_dir() else Path.cwd()

    def choice(self, group: str) -> str | None:
        """Returns the option of a group that the run was started with."""
        choice = self.setting(f"runtime.choices.{group}")
        return None if choice is None else str(choice)

    def setting(self, key: str) -> Any:
        """Returns one of Hydra's settings, e.g. "job.config_name"; None where it is unset."""
        return OmegaConf.select(self.settings, f"hydra.{key}")

    def result(self) -> dict[str, Any] | None:
        """Returns the content of result.json; None while there is none.

        Raises: ValueError: the folder holds no configuration.
        """
        if not (self.hydra / SETTINGS).is_file():
            raise ValueError(
                "a run keeps its configuration in .hydra: leave out hydra.output_subdir"
            )
        if not (path := self / RESULT).is_file():
            return None
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return result

    def finished(self) -> dict[str, Any] | None:
        """Returns what `result` does, and says so where the run is complete."""
        if (result := self.result()) is not None:
            print(f"this run is complete; its result is in {self / RESULT}")
        return result

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes result.json, the last file of a run: with it, the run is complete."""
        write_json(self / RESULT, result)

    def write_configuration(
        self, cfg: DictConfig, settings: DictConfig, objects: Mapping[str, str]
    ) -> None:
        """Writes what Hydra does of a run that it starts, the version, and what was passed."""
        self.hydra.mkdir(parents=True, exist_ok=True)
        self.begin(objects)
        OmegaConf.save(cfg, self.hydra / CONFIG)
        OmegaConf.save(settings, self.hydra / SETTINGS)
        OmegaConf.save(settings.hydra.overrides.task, self.hydra / OVERRIDES)

    def write_choices(self, choices: Mapping[str, str | None]) -> None:
        """Notes of some groups another option than that which was typed."""
        settings = read_config(self.hydra / SETTINGS)
        for group, option in choices.items():
            OmegaConf.update(settings, f"hydra.runtime.choices.{group}", option)
        OmegaConf.save(settings, self.hydra / SETTINGS)

    def begin(self, objects: Mapping[str, str] | None = None) -> None:
        """Notes which version starts a run here, and which objects were passed to it."""
        write_text(self.hydra / VERSION, f"{__version__}\n")
        for past in (LATENCY, OBJECTS):
            (self.hydra / past).unlink(missing_ok=True)
        if objects:
            write_text(self.hydra / OBJECTS, json.dumps(dict(objects)) + "\n")

    def keep_data(self, data: Identity) -> None:
        """Notes what tells the run's data from others.

        Raises: ValueError: the run has begun with other data.
        """
        path = self.hydra / DATA
        if self.has_progress and path.is_file():
            check_same(data, json.loads(path.read_text("utf-8")), f"the run in {self.path}")
        elif self.hydra.is_dir():
            write_text(path, json.dumps(data) + "\n")

    def version(self) -> str | None:
        """Returns the version that started the run; None if that was before 0.2."""
        path = self.hydra / VERSION
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None


@dataclass(frozen=True)
class Before:
    """What was there before a run: the innermost folder of its path, and the names in its own."""

    innermost: Path
    names: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> "Before":
        """Returns what is there now."""
        folder = folder.resolve()
        innermost = next(each for each in (folder, *folder.parents) if each.is_dir())
        return cls(innermost, frozenset(os.listdir(folder) if innermost == folder else ()))


class RunLock:
    """Keeps other commands out of the folders of runs while this process lives."""

    def __init__(self) -> None:
        self._locks: dict[Path, ProcessLock] = {}

    def take(self, folder: Path) -> None:
        """Takes the lock of a folder, unless this has it or the run is complete.

        Raises: ValueError: another process has it.
        """
        if (home := folder.resolve()) in self._locks or (folder / RESULT).is_file():
            return
        folder.mkdir(parents=True, exist_ok=True)  # whose error names the folder itself
        try:
            self._locks[home] = ProcessLock(folder / HYDRA / "lock").take()
        except LockedError as owner:
            raise ValueError(
                f"the folder {folder} must not be used by two runs at once: {owner} is at work "
                "there; wait for it or stop it, or choose another folder"
            ) from owner

    def has(self, folder: Path) -> bool:
        """Returns whether this has locked a folder."""
        return folder.resolve() in self._locks

    def forget(self, folder: Path, before: Before) -> None:
        """Removes what a refused run or sweep left in a folder that this has locked, if it is new.

        Nothing is removed where it has written more than its configuration.
        """
        folder = folder.resolve()
        names = {path.name for path in folder.iterdir()} if folder in self._locks else set()
        if (new := names - before.names) not in ({HYDRA}, {HYDRA, SWEEP_FILE}):
            return
        shutil.rmtree(folder / HYDRA)
        if SWEEP_FILE in new:
            (folder / SWEEP_FILE).unlink()
        while before.innermost in folder.parents and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def release(self) -> None:
        """Gives up all locks."""
        while self._locks:
            self._locks.popitem()[1].release()
