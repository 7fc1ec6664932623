"""Opens the loggers of a run, and tells them what it ended with."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from nas_lightning.core.genotype import Genotype
    from nas_lightning.loggers.dashboard import RunFacts
    from nas_lightning.loggers.guard import Dashboards
    from nas_lightning.run.parts import Parts

__all__ = ["open_dashboards", "show_child", "show_search"]

GROUPS = ("strategy", "search_space", "data")


def open_dashboards(
    cfg: DictConfig, folder: Path, job: str, genotype: "Genotype | None" = None
) -> "Dashboards":
    """Returns the loggers of the configuration; nothing is begun before they are entered.

    Search and child are runs of their own in one group. Baselines and the children of a
    black-box search have no loggers.

    Args:
        cfg: the configuration.
        folder: the run's folder.
        job: "search" or "child".
        genotype: what a child is built of.

    Raises:
        ValueError: a logger cannot be made, or needs a login that is not there.
    """
    from nas_lightning.config.making import make_all
    from nas_lightning.loggers.guard import Dashboards, Guarded

    facts = _facts(cfg, folder, job, genotype)
    labels = [name for name, node in cfg.logger.items() if node is not None]
    made = make_all(cfg.logger, "logger", facts=facts)
    return Dashboards([Guarded(m, str(n)) for m, n in zip(made, labels, strict=True)], facts.config)


def show_search(
    dashboards: "Dashboards",
    folder: Path,
    parts: "Parts",
    genotype: "Genotype",
    figures: Mapping[str, Any],
) -> None:
    """Shows what a search found: its drawing, its figures, the genotype as an artifact."""
    from nas_lightning.loggers.dashboard import Artifact

    summary = {**dict(_flat({"search": figures}, "/")), "genotype_id": genotype.id}
    trials = figures.get("trials")
    moment = {"trial": trials - 1} if trials else _last_epoch(figures)
    _show_drawing(dashboards, "search/genotype", parts, genotype, moment)
    facts = {"genotype_id": genotype.id, "space": genotype.space, "choices": genotype.mapping}
    files = (folder / "genotype.json", folder / "genotype.svg")
    dashboards.log_artifact(Artifact(_artifact_of(genotype), "genotype", files, facts | summary))
    dashboards.log_summary(summary)


def show_child(
    dashboards: "Dashboards",
    folder: Path,
    parts: "Parts",
    genotype: "Genotype",
    figures: Mapping[str, Any],
    search: Mapping[str, Any] | None,
) -> None:
    """Shows a tested child: its figures and its search's, the trained child as an artifact.

    Args:
        dashboards: where it is shown.
        folder: the run's folder.
        parts: what was trained on and with.
        genotype: what the child was built of.
        figures: the child's figures.
        search: the figures of the search that found it, None without one.
    """
    from nas_lightning.loggers.dashboard import Artifact

    summary = dict(_flat({"child": figures, "search": search}, "/"))
    summary["genotype_id"] = genotype.id
    _show_drawing(dashboards, "child/genotype", parts, genotype, _last_epoch(figures))
    files = tuple(
        path for name in ("best.ckpt", "last.ckpt") if (path := folder / "child" / name).is_file()
    )[:1]
    facts = {"genotype": _artifact_of(genotype), **summary}
    dashboards.log_artifact(Artifact(f"child-{genotype.id}", "model", files, facts))
    dashboards.log_summary(summary)


def _last_epoch(figures: Mapping[str, Any]) -> dict[str, int]:
    return {"epoch": figures["cost"]["epochs_trained"] - 1}


def _show_drawing(
    dashboards: "Dashboards",
    name: str,
    parts: "Parts",
    genotype: "Genotype",
    moment: Mapping[str, int],
) -> None:
    from nas_lightning.reports.drawing import draw

    if dashboards.are_watched:
        dashboards.log_picture(name, draw(parts.space.graphs(genotype)), moment)


def _artifact_of(genotype: "Genotype") -> str:
    return f"genotype-{genotype.id}"


def _facts(cfg: DictConfig, folder: Path, job: str, genotype: "Genotype | None") -> "RunFacts":
    from nas_lightning.loggers.dashboard import RunFacts
    from nas_lightning.run.outcome import choice_of, sweep_of

    chosen = {g: c for g in GROUPS if (c := choice_of(folder, g)) is not None}
    name = " ".join([*chosen.values(), f"seed {cfg.seed}", *(["child"] if job == "child" else [])])
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    config = dict(_flat({k: v for k, v in plain.items() if k not in ("logger", "callbacks")}, "."))
    config |= {**chosen, "folder": str(folder.resolve())}
    if genotype is not None:
        config |= {"genotype_id": genotype.id, "genotype_artifact": _artifact_of(genotype)}
    return RunFacts(
        folder=folder.resolve(),
        job=job,
        name=name,
        group=(sweep_of(folder) or folder.resolve()).name,
        tags=tuple(dict.fromkeys(chosen.values())),
        config=config,
        source=None if genotype is None else _artifact_of(genotype),
    )


def _flat(value: Any, join: str, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields what nested mappings hold, each under one joined name; what is null is left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, join, f"{name}{join}{key}" if name else str(key))
    elif value is not None:
        yield name, value
