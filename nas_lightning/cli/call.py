"""A command as a call in Python starts and resumes it."""

from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.cli import launch
from nas_lightning.cli.arguments import GroupArguments, typed_value
from nas_lightning.cli.command_line import with_home, with_list
from nas_lightning.cli.fork import fork_of
from nas_lightning.cli.interruption import interruption_of
from nas_lightning.cli.resume import check_unused, resumed_configuration
from nas_lightning.config import schema
from nas_lightning.config.help import own_folders
from nas_lightning.config.messages import REFUSALS, message_of
from nas_lightning.config.trust import Trust
from nas_lightning.core.checks import unknown_name
from nas_lightning.networks import native
from nas_lightning.run.finished import FinishedRun
from nas_lightning.run.folder import Before, RunFolder, RunLock
from nas_lightning.run.origin import begun
from nas_lightning.run.state import note_failure
from nas_lightning.run.sweep import ERROR_FILE

__all__ = ["Call", "composed", "new_folder"]

ARGUMENTS = ("experiment", "overrides", "folder", "resume")  # beside a command's keys


class Call:
    """One call of a command.

    Args:
        command: its name, e.g. "search".
        groups: by group the name of an option, an object, or None for the default.
        settings: further groups by the name of an option, and scalars.
        overrides: what else would be typed, e.g. ["child.epochs=3"].
        objects: what else the command's job takes in place of configuration.

    Raises:
        TypeError: a setting is unknown.
        ValueError: overrides are no list, or an argument is impossible.
    """

    def __init__(
        self,
        command: str,
        groups: Mapping[str, Any],
        settings: Mapping[str, Any],
        overrides: Sequence[str],
        objects: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(overrides, str | Mapping):
            raise ValueError(f'overrides ({overrides!r}) must be a list, e.g. ["child.epochs=3"]')
        _check_settings(command, settings)
        named = {key: settings[key] for key in settings if key in schema.groups_of(command)}
        scalars = [
            f"{path}={typed_value(value)}"
            for key in settings
            if key not in named
            for path, value in _paths(key, settings[key])
        ]
        self.command, self.overrides = command, list(overrides)
        self.arguments = GroupArguments({**groups, **named}, overrides)
        self.arguments.objects |= objects or {}
        settled = [with_list(command, each) for each in (*scalars, *map(with_home, overrides))]
        self.typed = [*self.arguments.overrides, *settled]

    def start(self, folder: str | Path | None, trust: bool = False) -> FinishedRun:
        """Starts a run in a folder, or in a new one under outputs/, and returns what it leaves.

        Raises: ValueError: a value is impossible, or a run is in the folder.
        """
        cfg, hydra = schema.split(composed(self.command, self.typed))
        self.arguments.put_into(cfg, hydra)
        home = _home(new_folder(cfg, hydra) if folder is None else folder)
        self._check_processes(cfg)

        with _At(home):
            _write_configuration(home, cfg, hydra, self.arguments)
            named = Trust.of(trust, self.overrides)
            cfg = begun(self.command, cfg, home, named, self.arguments.objects)
            self._run(cfg, home)
        return FinishedRun(home.path, self.arguments.space, is_own=True)

    def resume(self, folder: str | Path | None, trust: bool = False) -> FinishedRun:
        """Resumes the run in a folder, as resume=FOLDER does, and returns what it leaves.

        The whole configuration is the run's; what was passed to it as an object is passed again.

        Raises: ValueError: it cannot be resumed, or an argument is not the run's own.
        """
        if folder is None:
            raise ValueError("resume=True needs the run's folder; give folder=RUN_DIR")
        home = _home(folder)
        options = own_folders(self.overrides)
        files = (file for place in options for file in place.rglob("*.yaml"))
        named = Trust.of(trust, [*self.typed, *(file.read_text("utf-8") for file in files)])
        cfg = resumed_configuration(home, self.typed, self.command, named)
        self._check_objects(home)
        self._check_processes(cfg)
        with _At(home), chdir(home.started_in):
            if not home.has_progress:  # it may have been stopped before it had its parts
                cfg = begun(self.command, cfg, home, named, self.arguments.objects)
            self._run(cfg, home)
        return FinishedRun(home.path, self.arguments.space, is_own=trust)

    def fork(
        self,
        parent: str | Path | None,
        at: int | None,
        resume: bool,
        folder: str | Path | None,
        trust: bool = False,
    ) -> FinishedRun:
        """Starts a run from another one's state after an epoch, and returns what it leaves.

        Raises: ValueError: it cannot be forked (see `cli.fork.Fork`).
        """
        words = {"fork": parent, "at": at, "resume": resume or None, "hydra.run.dir": folder}
        given = [f"{key}={value}" for key, value in words.items() if value is not None]
        trusted = Trust.of(trust, self.typed)
        fork = fork_of([*given, *self.typed], self.command, trusted)
        assert fork is not None, "at= alone is refused"
        home = RunFolder(fork.new_folder())
        with _At(home), fork.undone():
            fork.begin(home.path, self.arguments.identities)
            self._check_objects(home)
            self._check_processes(fork.cfg)
            with chdir(home.started_in):
                self._run(home.config, home)
        return FinishedRun(home.path, self.arguments.space, is_own=trust)

    def _run(self, cfg: DictConfig, home: RunFolder) -> None:
        job, objects = launch.job_of(self.command), self.arguments.objects
        job = partial(job, objects=objects) if objects else job
        with torch.random.fork_rng(devices=[]):  # the caller's draws go on as if nothing had run
            launch.run(self.command, job, schema.typed(cfg, self.command), home.path)

    def _check_processes(self, cfg: DictConfig) -> None:
        objects = self.arguments.objects
        if objects and (number := launch.num_processes(cfg)) > 1:
            raise ValueError(
                f"hardware.devices ({number}) must be 1 where {', '.join(objects)} are "
                "objects, which other processes cannot be given; name an option instead"
            )

    def _check_objects(self, home: RunFolder) -> None:
        """Refuses other objects than those that the run was started with."""
        before, now = home.objects, self.arguments.identities
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if changed:
            raise ValueError(
                f"resume: not the run's own: {', '.join(changed)}; the run in {home.path} "
                "keeps its configuration; give what it was started with, or start a new run"
            )


def _paths(key: str, value: Any) -> list[tuple[str, Any]]:
    """Returns a setting by its key, and those of a mapping, e.g. limits, each by its own."""
    if not isinstance(value, Mapping):
        return [(key, value)]
    return [(f"{key}.{name}", each) for name, each in value.items()]


class _At:
    """The lock of a run's folder, and what a refused or interrupted run leaves behind."""

    def __init__(self, home: RunFolder) -> None:
        self.home, self.lock, self.threads = home, RunLock(), torch.get_num_threads()
        self.kernels = native.restored()
        self.before = Before.of(home.path)

    def __enter__(self) -> None:
        self.kernels.__enter__()
        self.lock.take(self.home.path)
        (self.home / ERROR_FILE).unlink(missing_ok=True)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if isinstance(error, REFUSALS):
                self.lock.forget(self.home.path, self.before)
            if isinstance(error, Exception):
                note_failure(self.home, message_of(error))
            # a SystemExit is Lightning's answer to Control-C
            if isinstance(error, SystemExit) and interruption_of(error):
                hint = f"resume it: folder={str(self.home.path)!r}, resume=True"
                raise KeyboardInterrupt(hint) from None
        finally:
            self.lock.release()
            torch.set_num_threads(self.threads)
            self.kernels.__exit__(None, None, None)


def composed(command: str, overrides: Sequence[str]) -> DictConfig:
    """Returns the configuration of a command, with Hydra's own under "hydra".

    Raises: ValueError: an override names what is not there, or has the wrong type.
    """
    try:
        return schema.composed(command, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(message_of(error)) from error


def new_folder(cfg: DictConfig, hydra: DictConfig) -> str:
    """Returns the folder that a run's configuration names, objects in place of groups."""
    whole = OmegaConf.create({**_plain(cfg), **_plain(hydra)})
    return str(OmegaConf.select(whole, "hydra.run.dir"))


def _plain(cfg: DictConfig) -> dict[Any, Any]:
    content = OmegaConf.to_container(cfg)
    assert isinstance(content, dict)
    return content


def _home(folder: str | Path) -> RunFolder:
    return RunFolder(Path(str(folder)).expanduser().resolve())


def _check_settings(command: str, settings: Mapping[str, Any]) -> None:
    names = (*schema.keys_of(command), *ARGUMENTS)
    if unknown := [key for key in settings if key not in names]:
        raise TypeError(
            f"{unknown_name('argument', unknown[0], names)}; every other key goes to "
            'overrides=["KEY=VALUE"], e.g. "strategy.epochs=3"'
        )


def _write_configuration(
    home: RunFolder, cfg: DictConfig, hydra: DictConfig, arguments: GroupArguments
) -> None:
    check_unused(home, "resume=True")
    with open_dict(hydra):
        OmegaConf.update(hydra, "hydra.mode", "RUN")
        OmegaConf.update(hydra, "hydra.runtime.output_dir", str(home.path))
        OmegaConf.update(hydra, "hydra.run.dir", str(home.path))
    home.write_configuration(cfg, hydra, arguments.identities)
