"""The typed shell of the configurations: an unknown key or a wrong type fails at composition."""

from dataclasses import dataclass, field, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

__all__ = [
    "BenchmarkConfig",
    "MeasureConfig",
    "SearchConfig",
    "ShowConfig",
    "TrainConfig",
    "groups_of",
    "keys_of",
    "register",
    "typed",
]


@dataclass
class ShowConfig:
    """Configuration of `nas-show`.

    Attributes:
        genotype: a file, a published name, or a text notation.
        json: whether to print JSON.
        output: file for the drawing; null draws none.
        search_space: the space of the genotype.
        channels: channels of the child's first cells; null takes the published child's.
        cells: cells of the child; null takes the published child's.
        stem: stem of the child; null takes the published child's.
        input_shape: image shape (channels, height, width); null takes the published child's.
        num_outputs: number of classes; null takes the published child's.
    """

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
class TrainConfig:
    """Configuration of `nas-train`.

    Attributes:
        seed: seed of everything that is drawn.
        genotype: a file, a run's folder, a published name, or a text notation.
        baselines: whether the two baselines are trained as well.
        export: formats that the trained child is written in, "onnx" and "pt2".
        search_space, task, data, hardware, child: the groups.
        logger, callbacks: further Lightning loggers and callbacks, by name.
    """

    seed: int = 0
    genotype: str = MISSING
    baselines: bool = False
    export: list[str] = field(default_factory=list)
    search_space: dict[str, Any] = MISSING
    task: dict[str, Any] = MISSING
    data: dict[str, Any] = MISSING
    hardware: dict[str, Any] = MISSING
    child: dict[str, Any] = MISSING
    logger: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)


@dataclass
class SearchConfig:
    """Configuration of `nas-search`.

    Attributes:
        seed: seed of everything that is drawn.
        retrain: whether the found child is trained, tested and compared with baselines.
        max_samples: cap of the training samples that the search may process.
        export: formats that the trained child is written in, "onnx" and "pt2".
        search_space, strategy, evaluation, objective, task, data, hardware, child: the groups.
        logger, callbacks: further Lightning loggers and callbacks, by name.
    """

    seed: int = 0
    retrain: bool = True
    max_samples: int | None = None
    export: list[str] = field(default_factory=list)
    search_space: dict[str, Any] = MISSING
    strategy: dict[str, Any] = MISSING
    evaluation: dict[str, Any] = MISSING
    objective: dict[str, Any] = MISSING
    task: dict[str, Any] = MISSING
    data: dict[str, Any] = MISSING
    hardware: dict[str, Any] = MISSING
    child: dict[str, Any] = MISSING
    logger: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)


@dataclass
class BenchmarkConfig:
    """Configuration of `nas-benchmark`.

    Attributes:
        seed: seed of the first search; the others follow.
        seeds: number of searches.
        budget_s: simulated seconds of training of each; null leaves the end to strategy.trials.
        reference: point that bounds the hypervolume where an objective keeps two values apart,
            one entry a value; null, or none at all, takes the table's worst.
        compare: folders of earlier benchmarks to compare with.
        search_space, strategy, evaluation, objective: the groups.
        data: whose name says which of the table's columns are read; no data are loaded.
    """

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


@dataclass
class MeasureConfig:
    """Configuration of `nas-measure`.

    Attributes:
        what: what is measured: "proxies".
        seed: seed of everything that is drawn.
        children: random children that are measured.
        batch_size: images that a proxy sees.
        search_space, task, data, hardware, child: the groups.
        evaluation: the benchmark table that tells the children's accuracy.
    """

    what: str = MISSING
    seed: int = 0
    children: int = 200
    batch_size: int = 64
    search_space: dict[str, Any] = MISSING
    task: dict[str, Any] = MISSING
    data: dict[str, Any] = MISSING
    hardware: dict[str, Any] = MISSING
    child: dict[str, Any] = MISSING
    evaluation: dict[str, Any] = MISSING


SHELLS = {
    "benchmark": BenchmarkConfig,
    "measure": MeasureConfig,
    "search": SearchConfig,
    "show": ShowConfig,
    "train": TrainConfig,
}


def register() -> None:
    """Puts the shells where Hydra finds them, as `schema/search` and so on."""
    store = ConfigStore.instance()
    for name, shell in SHELLS.items():
        store.store(name=name, group="schema", node=shell, package="_global_")


def keys_of(command: str) -> list[str]:
    """Returns the keys of a command's configuration, e.g. "search": seed, strategy, ..."""
    return [each.name for each in fields(SHELLS[command])]


def groups_of(command: str) -> list[str]:
    """Returns the groups of a command's configuration, experiment among them."""
    groups = [each.name for each in fields(SHELLS[command]) if "dict" in str(each.type)]
    return [*groups, "experiment"]


def typed(cfg: DictConfig, config_name: str) -> DictConfig:
    """Returns the configuration on its shell, also where it comes from a run's folder.

    Args:
        cfg: the configuration.
        config_name: the command's, e.g. "search".

    Raises:
        ValueError: a key is unknown or missing.
    """
    shell = SHELLS[config_name]
    known = [each.name for each in fields(shell)]
    if unknown := [str(key) for key in cfg if key not in known]:
        raise ValueError(f"unknown key '{unknown[0]}'; choose from: {', '.join(sorted(known))}")
    merged = OmegaConf.merge(OmegaConf.structured(shell), cfg)
    assert isinstance(merged, DictConfig)
    if missing := sorted(OmegaConf.missing_keys(merged)):
        raise ValueError(f"{missing[0]} is missing; give {missing[0]}=...")
    return merged
