"""Composes configurations on typed shells: an unknown key or a wrong type fails at composition."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from nas_lightning.config import run_name
from nas_lightning.config.paths import config_dir
from nas_lightning.core.checks import at_least, unknown_name
from nas_lightning.core.units import read_bounds, read_seconds

__all__ = [
    "VerdictConfig",
    "composed",
    "groups_of",
    "keys_of",
    "lists_of",
    "register",
    "split",
    "typed",
]


@dataclass
class ShowConfig:
    """Configuration of `nas-show`; conf/show.yaml says what its keys mean."""

    genotype: str = MISSING
    json: bool = False
    output: str | None = "genotype.svg"
    search_space: dict[str, Any] = MISSING
    channels: int | None = None
    cells: int | None = None
    stem: str | None = None
    input_shape: list[int] | None = None
    num_outputs: int | None = None


@dataclass
class VerdictConfig:
    """With what a child is compared."""

    children: int = 1
    resnet: bool = True


@dataclass
class _NetworkConfig:
    """What all commands share that train networks."""

    seed: int = 0
    search_space: dict[str, Any] = MISSING
    task: dict[str, Any] = MISSING
    data: dict[str, Any] = MISSING
    hardware: dict[str, Any] = MISSING
    child: dict[str, Any] = MISSING


@dataclass
class LimitsConfig:
    """Upper bounds of what is delivered; numbers, or text with a unit such as "50k"."""

    parameters: Any = None
    multiply_adds: Any = None
    latency_ms: Any = None
    memory_mb: Any = None


@dataclass
class CheckpointsConfig:
    """Which states of a one-shot search are kept beside the last one."""

    every: int | None = None


@dataclass
class TrainConfig(_NetworkConfig):
    """Configuration of `nas-train`; conf/train.yaml says what its keys mean."""

    genotype: str = MISSING
    baselines: bool = False
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    export: list[str] = field(default_factory=list)
    logger: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)


@dataclass
class SearchConfig(_NetworkConfig):
    """Configuration of `nas-search`; conf/search.yaml says what its keys mean."""

    retrain: bool = True
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    max_samples: int | None = None
    max_seconds: Any = None  # seconds, or text with units such as "1h30m"
    max_seconds_in_all: Any = None
    limits: LimitsConfig | None = field(default_factory=LimitsConfig)
    export: list[str] = field(default_factory=list)
    checkpoints: CheckpointsConfig = field(default_factory=CheckpointsConfig)
    strategy: dict[str, Any] = MISSING
    evaluation: dict[str, Any] = MISSING
    objective: dict[str, Any] = MISSING
    logger: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)


@dataclass
class MeasureConfig(_NetworkConfig):
    """Configuration of `nas-measure`; conf/measure.yaml says what its keys mean."""

    what: str = MISSING
    children: int | None = None
    export: list[str] = field(default_factory=list)
    batch_size: int = 64
    tau: float | None = None
    rungs: Any = None  # evaluations by name, no group
    evaluation: dict[str, Any] = MISSING


@dataclass
class DeriveConfig:
    """Configuration of `nas-derive`; conf/derive.yaml says what its keys mean.

    The groups of the run that it derives from are written into the configuration of its own.
    """

    run: str = MISSING
    rule: str = "space"
    candidates: int = 3
    samples: int = 30
    generations: int = 5
    threshold: float = 0.85
    recalibration: int = 16
    seed: int = 0
    hardware: dict[str, Any] = MISSING
    search_space: Any = None
    strategy: Any = None
    data: Any = None
    task: Any = None
    child: Any = None
    limits: Any = None


@dataclass
class BenchmarkConfig:
    """Configuration of `nas-benchmark`; conf/benchmark.yaml says what its keys mean."""

    seed: int = 0
    seeds: int = 500
    budget_s: float | None = 12000.0
    reference: list[float | None] = field(default_factory=list)
    compare: list[str] = field(default_factory=list)
    search_space: dict[str, Any] = MISSING
    strategy: dict[str, Any] = MISSING
    evaluation: dict[str, Any] = MISSING
    objective: dict[str, Any] = MISSING
    data: dict[str, Any] = MISSING


SHELLS = {
    "benchmark": BenchmarkConfig,
    "derive": DeriveConfig,
    "measure": MeasureConfig,
    "search": SearchConfig,
    "show": ShowConfig,
    "train": TrainConfig,
}


def register() -> None:
    """Puts the shells where Hydra finds them, as `schema/search` and so on; and run_name."""
    run_name.register()
    store = ConfigStore.instance()
    if "schema" in store.repo:  # making them again would take as long as reading the files
        return
    for name, shell in SHELLS.items():
        store.store(name=name, group="schema", node=shell, package="_global_")


def composed(command: str, overrides: Sequence[str]) -> DictConfig:
    """Returns the configuration of a command, e.g. "search", with Hydra's own under "hydra".

    Raises: HydraException: an override names what is not there, or has the wrong type.
    """
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose(command, list(overrides), return_hydra_config=True)


def split(whole: DictConfig) -> tuple[DictConfig, DictConfig]:
    """Returns a command's configuration without Hydra's own, and Hydra's own alone."""
    cfg = whole.copy()
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, DictConfig({"hydra": whole.hydra})


def keys_of(command: str) -> list[str]:
    """Returns the keys of a command's configuration, e.g. "search": seed, strategy, ..."""
    return [each.name for each in fields(SHELLS[command])]


def lists_of(command: str) -> list[str]:
    """Returns those keys of a command that hold a list of texts, e.g. export."""
    return [each.name for each in fields(SHELLS[command]) if each.type == list[str]]


def groups_of(command: str) -> list[str]:
    """Returns the groups of a command's configuration, experiment among them."""
    groups = [each.name for each in fields(SHELLS[command]) if "dict[" in str(each.type)]
    return [*groups, "experiment"]


def typed(cfg: DictConfig, command: str) -> DictConfig:
    """Returns the configuration on the command's shell, also where it comes from a run's folder.

    Times are in seconds then. What bounds a run is checked here, before anything is imported
    that takes long.

    Raises: ValueError: a key is unknown or missing, or a bound is impossible.
    """
    known = keys_of(command)
    if unknown := [str(key) for key in cfg if key not in known]:
        raise ValueError(unknown_name("key", unknown[0], sorted(known)))
    merged = OmegaConf.merge(OmegaConf.structured(SHELLS[command]), cfg)
    assert isinstance(merged, DictConfig)
    if missing := sorted(OmegaConf.missing_keys(merged)):
        raise ValueError(f"{missing[0]} is missing; give {missing[0]}=...")
    if "limits" in known:
        read_bounds(merged.limits)
    if command == "search":
        _read_search_bounds(merged)
    return merged


def _read_search_bounds(cfg: DictConfig) -> None:
    of_search, in_all = "max_seconds", "max_seconds_in_all"
    cfg[of_search] = read_seconds(of_search, cfg[of_search], use="300, 90s, 5m or 1h30m")
    cfg[in_all] = read_seconds(in_all, cfg[in_all], use="600, 90s, 10m or 1h30m")
    if cfg[of_search] and cfg[in_all] and cfg[of_search] >= cfg[in_all]:
        raise ValueError(
            f"{of_search} ({cfg[of_search]:g}), of the search, must be below {in_all} "
            f"({cfg[in_all]:g}); leave one of them out"
        )
    at_least("max_samples", cfg.max_samples, 1)
