"""A worker's side of `evaluation.ray_executor`: an actor that evaluates jobs.

It answers each call with a message of `evaluation.workers`. No file system is shared: the files
that a job needs come with it, such as a checkpoint of its parent, and go back with its outcome.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.executors import Job, evaluated
from nas_lightning.evaluation.serving import guarded

__all__ = ["Build", "RayServer"]

# of CPU threads: space, evaluation and the folder of the children's files, None without files
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

    def evaluate(self, text: str, *contents: bytes) -> Mapping[str, Any]:
        """Evaluates a job, given as JSON with the names of files and what they hold."""
        return guarded(lambda: self._evaluated(json.loads(text), contents), self.message_of)

    def _prepared(self) -> Mapping[str, Any]:
        self.space, self.evaluation, self.folder = self.build(self.threads)
        return {"ready": True}

    def _evaluated(self, content: Mapping[str, Any], contents: Sequence[bytes]) -> dict[str, Any]:
        job, folder = Job.of(content, self.space), self.folder
        if folder is None:
            return {"outcome": asdict(evaluated(job, self.evaluation)), "files": {}}
        folder.mkdir()
        for name, data in zip(content["files"], contents, strict=True):
            (folder / name).write_bytes(data)
        try:
            outcome = asdict(evaluated(job, self.evaluation))
            paths = [folder / name for name in self.evaluation.files(job.trial)[1]]
            files = {path.name: path.read_bytes() for path in paths if path.is_file()}
        finally:
            shutil.rmtree(folder)
        return {"outcome": outcome, "files": files}
