"""A sweep's folder: its jobs, which of them failed, and what runs the missing ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nas_lightning.run.folder import CONFIG, HYDRA, OVERRIDES

__all__ = [
    "ERROR_FILE",
    "SWEEP_FILE",
    "Kept",
    "failed_jobs",
    "named",
    "overrides_of_jobs",
    "varied_keys",
]

ERROR_FILE = "error.txt"
SWEEP_FILE = "multirun.yaml"  # Hydra writes it before the first job

Runs = dict[Path, dict[str, str]]


@dataclass(frozen=True)
class Kept:
    """What a job of a sweep was started with.

    Attributes:
        overrides: what was typed for it, the choice of the sweep included.
        config: its configuration, interpolations as they were written, as YAML.
    """

    overrides: tuple[str, ...]
    config: str

    @staticmethod
    def by_jobs(folder: Path) -> dict[str, "Kept"]:
        """Returns what every job was started with, by its folder within the sweep's."""
        return {
            str(job.relative_to(folder)): Kept(
                _typed_for(job), (job / HYDRA / CONFIG).read_text(encoding="utf-8")
            )
            for job in _jobs(folder)
        }

    def restored(self, job: Path, overrides: list[str]) -> DictConfig:
        """Returns the job's configuration, written back where Hydra has put a new one.

        Args:
            job: the job's folder.
            overrides: what it is started with this time.

        Raises:
            ValueError: the folder belongs to another job.
        """
        if list(self.overrides) != overrides:
            raise ValueError(
                f"job {job.name} of the sweep was {' '.join(self.overrides)}, and now would be "
                f"{' '.join(overrides)}; resume it alone: resume={job}"
            )
        (job / HYDRA / CONFIG).write_text(self.config, encoding="utf-8")
        config = OmegaConf.create(self.config)
        assert isinstance(config, DictConfig)
        return config


def failed_jobs(folder: Path) -> list[str]:
    """Returns the jobs of a sweep that failed, each with what sets it apart."""
    runs = overrides_of_jobs(folder)
    return [named(run.name, own, runs) for run, own in runs.items() if (run / ERROR_FILE).is_file()]


def overrides_of_jobs(folder: Path) -> Runs:
    """Returns the jobs of a sweep in their order, and the values typed for each by key."""
    return {run: _by_key(_typed_for(run)) for run in _jobs(folder)}


def varied_keys(runs: Runs) -> list[str]:
    """Returns the keys whose value is not the same in all jobs."""
    keys = dict.fromkeys(key for own in runs.values() for key in own)
    return [key for key in keys if len({own.get(key) for own in runs.values()}) > 1]


def named(name: str, own: Mapping[str, str], runs: Runs) -> str:
    """Returns a job's name with what sets it apart from the others of its sweep."""
    keys = varied_keys(runs) or own
    return f"{name} ({' '.join(f'{key}={own[key]}' for key in keys if key in own)})"


def _jobs(folder: Path) -> list[Path]:
    found = [path.parent.parent for path in folder.glob(f"**/{HYDRA}/{OVERRIDES}")]
    return sorted((job for job in found if _is_whole(job)), key=_order)


def _is_whole(job: Path) -> bool:
    """Returns whether all of a job's configuration was written; Hydra ends with the overrides."""
    return bool((job / HYDRA / OVERRIDES).read_text(encoding="utf-8"))


def _order(run: Path) -> tuple[int, str]:
    return (int(run.name), "") if run.name.isdigit() else (1 << 30, str(run))


def _typed_for(run: Path) -> tuple[str, ...]:
    listed: Any = OmegaConf.to_container(OmegaConf.load(run / HYDRA / OVERRIDES))
    return tuple(str(override) for override in listed or ())


def _by_key(overrides: tuple[str, ...]) -> dict[str, str]:
    pairs = [override.partition("=") for override in overrides]
    return {key.lstrip("+~"): value for key, _, value in pairs}
