"""Opens the loggers of a run, and tells them what it ended with."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from nas_lightning.config.making import make_all, plain_node
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.loggers.dashboard import Artifact, Dashboard, Dashboards, Guarded, RunFacts
from nas_lightning.reports.drawing import draw
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.run import Run

__all__ = ["check_trials", "open_dashboards", "show_child", "show_search"]

GROUPS = ("strategy", "search_space", "data")


def open_dashboards(
    cfg: DictConfig, folder: RunFolder, job: str, genotype: Genotype | None = None
) -> Dashboards:
    """Returns the loggers of the configuration; nothing begins before they are entered.

    Search and child (`job`) are runs of their own in one group; a child has a genotype. Baselines
    and the children of a black-box search have no loggers.

    Raises: ValueError: a logger cannot be made, or needs a login that is missing.
    """
    facts = _facts(cfg, folder, job, genotype)
    labels = [name for name, node in cfg.logger.items() if node is not None]
    made = make_all(cfg.logger, "logger", facts=facts)
    return Dashboards([Guarded(m, str(n)) for m, n in zip(made, labels, strict=True)], facts.config)


def check_trials(dashboards: Dashboards, strategy: OneShotStrategy) -> None:
    """Refuses loggers that show trials alone beside a strategy that has none.

    Raises: ValueError: there is one.
    """
    for guarded in dashboards.loggers:
        if isinstance(guarded.logger, Dashboard) and guarded.logger.needs_trials:
            raise ValueError(
                f"logger.{guarded.label} shows trials, which strategy {type(strategy).__name__} "
                "does not have: leave it out, or search with e.g. strategy=evolution"
            )


def show_search(run: Run, genotype: Genotype, figures: Mapping[str, Any], drawing: str) -> None:
    """Shows what a search found: its drawing, its figures, the genotype as an artifact."""
    summary = _summary({"search": figures}) | {"genotype_id": genotype.id}
    trials = figures.get("trials")
    moment = {"trial": trials - 1} if trials else _last_epoch(figures)
    run.loggers.log_picture("search/genotype", drawing, moment)
    facts = {"genotype_id": genotype.id, "space": genotype.space, "choices": genotype.mapping}
    files = (run.folder / "genotype.json", run.folder / "genotype.svg")
    run.loggers.log_artifact(Artifact(_artifact_of(genotype), "genotype", files, facts | summary))
    run.loggers.log_summary(summary)


def show_child(
    run: Run, genotype: Genotype, figures: Mapping[str, Any], search: Mapping[str, Any] | None
) -> None:
    """Shows a tested child: its figures and its search's, the trained child as an artifact."""
    summary = _summary({"child": figures, "search": search}) | {"genotype_id": genotype.id}
    if run.loggers.are_watched:
        drawing = draw(run.parts.space.graphs(genotype), run.parts.space.option_names)
        run.loggers.log_picture("child/genotype", drawing, _last_epoch(figures))
    checkpoints = [run.folder / "child" / name for name in ("best.ckpt", "last.ckpt")]
    files = tuple(path for path in checkpoints if path.is_file())[:1]
    facts = {"genotype": _artifact_of(genotype), **summary}
    run.loggers.log_artifact(Artifact(f"child-{genotype.id}", "model", files, facts))
    run.loggers.log_summary(summary)


def _last_epoch(figures: Mapping[str, Any]) -> dict[str, int]:
    return {"epoch": figures["cost"]["epochs_trained"] - 1}


def _artifact_of(genotype: Genotype) -> str:
    return f"genotype-{genotype.id}"


def _facts(cfg: DictConfig, folder: RunFolder, job: str, genotype: Genotype | None) -> RunFacts:
    chosen = {g: c for g in GROUPS if (c := folder.choice(g)) is not None}
    name = " ".join([*chosen.values(), f"seed {cfg.seed}", *(["child"] if job == "child" else [])])
    plain = plain_node(cfg, "the configuration")
    config = dict(_flat({k: v for k, v in plain.items() if k not in ("logger", "callbacks")}, "."))
    home = folder.path.resolve()
    config |= {**chosen, "folder": str(home)}
    source = None if genotype is None else _artifact_of(genotype)
    if genotype is not None:
        config |= {"genotype_id": genotype.id, "genotype_artifact": source}
    group, tags = (folder.sweep or home).name, tuple(dict.fromkeys(chosen.values()))
    return RunFacts(
        folder=home, job=job, name=name, group=group, tags=tags, config=config, source=source
    )


def _summary(figures: Mapping[str, Any]) -> dict[str, float | str]:
    """Returns figures by joined names, without lists: a summary has no place for sentences."""
    return {n: v for n, v in _flat(figures, "/") if not isinstance(v, list)}


def _flat(value: Any, join: str, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields what nested mappings hold, each under one joined name; null values are left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, join, f"{name}{join}{key}" if name else str(key))
    elif value is not None:
        yield name, value
