"""A sweep's folder: its jobs, which of them failed, and what runs the missing ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from omegaconf import DictConfig, OmegaConf

from nas_lightning.run.folder import HYDRA, OVERRIDES, RunFolder

__all__ = [
    "ERROR_FILE",
    "SweepJob",
    "by_key",
    "failed_jobs",
    "named",
    "overrides_of_jobs",
    "runs_of",
    "varied_keys",
]

ERROR_FILE = "error.txt"

Jobs = dict[Path, dict[str, str]]


@dataclass(frozen=True)
class SweepJob:
    """What a job of a sweep was started with: all overrides, and its unresolved YAML."""

    overrides: list[str]
    config: str

    @classmethod
    def by_folder(cls, sweep: Path) -> dict[str, "SweepJob"]:
        """Returns the jobs of a sweep by their folders within it."""
        return {
            str(job.path.relative_to(sweep)): cls(job.overrides, job.config_file.read_text("utf-8"))
            for job in _jobs(sweep)
        }

    def restored(self, job: Path, overrides: list[str]) -> DictConfig:
        """Returns the configuration, written back into the job's folder over Hydra's new one.

        Raises: ValueError: the job is now started with other overrides.
        """
        if self.overrides != overrides:
            raise ValueError(
                f"job {job.name} of the sweep was {' '.join(self.overrides)}, and now would be "
                f"{' '.join(overrides)}; resume it alone: resume={quote(str(job))}"
            )
        RunFolder(job).config_file.write_text(self.config, encoding="utf-8")
        config = OmegaConf.create(self.config)
        assert isinstance(config, DictConfig)
        return config


def failed_jobs(sweep: Path) -> list[str]:
    """Returns the jobs of a sweep that failed, each with what sets it apart."""
    jobs = overrides_of_jobs(sweep)
    return [named(job.name, jobs[job], jobs) for job in jobs if (job / ERROR_FILE).is_file()]


def overrides_of_jobs(sweep: Path) -> Jobs:
    """Returns the jobs of a sweep in their order, and the values typed for each by key."""
    return {job.path: by_key(job.overrides) for job in _jobs(sweep)}


def by_key(overrides: Iterable[str]) -> dict[str, str]:
    """Returns the values of overrides by their keys."""
    pairs = [override.partition("=") for override in overrides]
    return {key.lstrip("+~"): value for key, _, value in pairs}


def runs_of(folders: Iterable[Path]) -> list[RunFolder]:
    """Returns the runs in folders, each once; a sweep stands for its jobs.

    Raises: ValueError: a folder holds neither a run nor a sweep.
    """
    runs: dict[Path, RunFolder] = {}
    for path in folders:
        folder = RunFolder(path)
        jobs = _jobs(path) if folder.is_sweep else [folder] if folder.is_whole else []
        if not jobs:
            raise ValueError(
                f"{path} must be the folder of a run or of a sweep, one that holds .hydra or "
                "multirun.yaml; nas-report alone lists those under outputs/"
            )
        runs |= {job.path.resolve(): job for job in jobs}
    return list(runs.values())


def varied_keys(jobs: Jobs) -> list[str]:
    """Returns the keys whose value is not the same in all jobs."""
    keys = dict.fromkeys(key for own in jobs.values() for key in own)
    return [key for key in keys if len({own.get(key) for own in jobs.values()}) > 1]


def named(name: str, own: Mapping[str, str], jobs: Jobs) -> str:
    """Returns a job's name with what sets it apart from the others of its sweep."""
    keys = varied_keys(jobs) or own
    return f"{name} ({' '.join(f'{key}={own[key]}' for key in keys if key in own)})"


def _jobs(sweep: Path) -> list[RunFolder]:
    found = [RunFolder(path.parent.parent) for path in sweep.glob(f"**/{HYDRA}/{OVERRIDES}")]
    return sorted((job for job in found if job.is_whole), key=_order)


def _order(job: RunFolder) -> tuple[int, str]:
    name = job.path.name
    return (int(name), "") if name.isdigit() else (1 << 30, str(job.path))
