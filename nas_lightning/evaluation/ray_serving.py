"""A worker's side of `evaluation.ray_executor`: an actor that evaluates jobs.

It answers each call with a message of `evaluation.workers`. No file system is shared: checkpoints
of children that may be trained further come with a job and go back with its outcome.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.executors import Job, evaluated
from nas_lightning.evaluation.serving import guarded

__all__ = ["Build", "RayServer"]

# of CPU threads: space, evaluation and the folder of checkpoints, None where there are none
Build = Callable[[int], tuple[SearchSpace, Evaluation, Path | None]]


class RayServer:
    """Evaluates jobs with what `build` makes.

    Args:
        build: makes with so many CPU threads what evaluates.
        message_of: words errors.
    """

    def __init__(
        self, build: Build, threads: int, message_of: Callable[[BaseException], str] = str
    ) -> None:
        self.build, self.threads, self.message_of = build, threads, message_of

    def beat(self) -> Mapping[str, Any]:
        """Tells that it lives."""
        return {"alive": True}

    def prepare(self) -> Mapping[str, Any]:
        """Builds everything."""
        return guarded(self._prepared, self.message_of)

    def evaluate(self, text: str, parent: bytes | None) -> Mapping[str, Any]:
        """Evaluates a job, given as JSON and with the checkpoint of its parent, if it has one."""
        return guarded(lambda: self._evaluated(json.loads(text), parent), self.message_of)

    def _prepared(self) -> Mapping[str, Any]:
        self.space, self.evaluation, self.folder = self.build(self.threads)
        return {"ready": True}

    def _evaluated(self, content: Mapping[str, Any], parent: bytes | None) -> Mapping[str, Any]:
        job, folder = Job.of(content, self.space), self.folder
        if folder is None:
            return {"outcome": asdict(evaluated(job, self.evaluation)), "checkpoint": None}
        before, after = (folder / f"{n}.ckpt" for n in (job.trial.parent, job.trial.number))
        folder.mkdir()
        if parent is not None:
            before.write_bytes(parent)
        try:
            outcome = asdict(evaluated(job, self.evaluation))
            checkpoint = after.read_bytes() if after.is_file() else None
        finally:
            shutil.rmtree(folder)
        return {"outcome": outcome, "checkpoint": checkpoint}
