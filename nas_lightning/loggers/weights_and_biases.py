"""Weights & Biases: a run's numbers, pictures and artifacts, online or in files to be sent later.

It differs from Lightning's logger: the mode goes to `wandb.init`, since Lightning's offline flag
sets WANDB_MODE for the whole process; `reinit="create_new"` keeps a logger from taking over a run
that another one began; and numbers are shown over epochs or trials, not optimiser steps.
"""

import os
import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import wandb
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from nas_lightning.core.checks import one_of
from nas_lightning.files import write_text
from nas_lightning.loggers.dashboard import Artifact, Dashboard, RunFacts
from nas_lightning.reports.png import svg_to_png

__all__ = ["WeightsAndBiases"]

MODES = ("online", "offline", "disabled")
PROJECT = "nas_lightning"


class WeightsAndBiases(Dashboard, WandbLogger):
    """One run of Weights & Biases; its files lie in the run's folder, under wandb/.

    A resumed run keeps its id, which is in wandb/JOB.id.

    Args:
        project: None takes WANDB_PROJECT, or else "nas_lightning".
        entity: the user or team; None takes WANDB_ENTITY, or else the account's own.
        mode: "online", "offline" or "disabled"; None takes WANDB_MODE, or else "online".
        name: None takes WANDB_NAME, or else one of strategy, space, data, seed.
        group: None takes WANDB_RUN_GROUP, or else the sweep (of W&B's agent, or the sweep's
            folder), or else the run's folder.
        tags: tags beside strategy, search space and data.
        upload_timeout_s: seconds that the end of an online run may wait for its upload; the rest
            stays in the run's folder for `wandb sync`.

    Raises: ValueError: the mode is unknown, or nobody is logged in and the mode is online.
    """

    def __init__(
        self,
        facts: RunFacts,
        project: str | None = None,
        entity: str | None = None,
        mode: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: tuple[str, ...] = (),
        upload_timeout_s: float = 600.0,
    ) -> None:
        if mode is not None:
            one_of("logger.wandb.mode", mode, MODES)
        _check_login(mode)
        self.facts = facts
        self._axis: str | None = None
        settings, agent = wandb.setup().settings, os.environ.get("WANDB_SWEEP_ID")
        sweep = f"sweep {agent}" if agent else facts.group
        name = name or settings.run_name
        suffix = "" if facts.job == "search" else f" {facts.job}"
        WandbLogger.__init__(
            self,
            facts.name if name is None else name + suffix,
            facts.folder,
            project=project or settings.project or PROJECT,
            entity=entity,
            mode=mode,
            group=group or settings.run_group or sweep,
            job_type=facts.job,
            tags=[*facts.tags, *tags],
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", finish_timeout=upload_timeout_s),
        )
        self._wandb_init.pop("anonymous", None)  # Lightning sets it, wandb warns that it is gone

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run, begun at the first use; a dummy in other processes than the first."""
        if self._experiment is not None:
            return self._experiment
        facts, settings = self.facts, wandb.setup().settings
        if settings.sweep_id and settings.run_id == self._id_of("search"):
            settings.sweep_id = settings.run_id = None  # the sweep's agent waits for the search
        kept = self._id_of(facts.job)
        run = wandb.init(**self._wandb_init | {"id": kept, "resume": "allow" if kept else None})
        if not run.disabled:
            write_text(facts.folder / "wandb" / f"{facts.job}.id", run.id)
            self._use_source(run)
            where = run.dir.removesuffix("files") if run.offline else run.url
            print(f"wandb: {facts.job} run {run.name}: {where}", file=sys.stderr, flush=True)
        self._experiment = run
        return run

    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Adds to the run's configuration what is not there: a sweep locks its own keys."""
        config = self.experiment.config
        config.update({k: v for k, v in params.items() if k not in config})

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs numbers over the epoch or trial that is among them."""
        run, axis = self.experiment, "trial" if "trial" in metrics else "epoch"
        if axis != self._axis:
            run.define_metric(axis)
            run.define_metric("*", step_metric=axis)
            self._axis = axis
        run.log(dict(metrics))

    @rank_zero_only
    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows a picture."""
        image = Image.open(BytesIO(svg_to_png(svg)))
        self.log_metrics({name: wandb.Image(image), **moment})

    @rank_zero_only
    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Puts figures into the run's summary."""
        self.experiment.summary.update(dict(figures))

    @rank_zero_only
    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files as an artifact; the alias tells which run made it."""
        made = wandb.Artifact(artifact.name, artifact.kind, metadata=dict(artifact.facts))
        for file in artifact.files:
            made.add_file(str(file), policy="immutable")  # else it is copied into the home folder
        self.experiment.log_artifact(made, aliases=["latest", self.experiment.id])

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Ends a run whose training failed; a child is still to be tested after a good one."""
        if status == "failed":
            self.close(is_failed=True)

    @rank_zero_only
    def close(self, is_failed: bool) -> None:
        """Ends the run."""
        if self._experiment is not None:
            run, self._experiment = self._experiment, None
            run.finish(exit_code=int(is_failed))

    def _use_source(self, run: Any) -> None:
        maker = self._id_of("search")
        if self.facts.source and maker and not run.offline:  # a link needs a server
            run.use_artifact(f"{self.facts.source}:{maker}")

    def _id_of(self, job: str) -> str | None:
        path = self.facts.folder / "wandb" / f"{job}.id"
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _check_login(mode: str | None) -> None:
    """Refuses an online run without a login, in all processes alike."""
    if (mode or os.environ.get("WANDB_MODE")) in ("offline", "disabled"):
        return
    general = wandb.setup().settings.mode
    if {mode or general, general} != {"online"}:  # a login fails where WANDB_MODE is not online
        return
    try:
        is_logged_in, reason = wandb.login(prompt=False, verify=False), ""
    except wandb.Error as error:
        is_logged_in, reason = False, f" ({error})"
    if not is_logged_in:
        raise ValueError(
            "logger.wandb.mode (online) needs a login: run `wandb login` or set "
            f"WANDB_API_KEY, or choose logger.wandb.mode=offline{reason}"
        )
