"""An executor of Ray's actors on one or many machines; `evaluation.ray_serving` is their side.

Ray starts, places and watches the actors; who gets which job, and what happens when one dies, is
as for processes (see `evaluation.workers`). Of Ray only its core is used.
"""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.executors import Job
from nas_lightning.evaluation.ray_cluster import RayCluster, the_ray
from nas_lightning.evaluation.ray_serving import Build, RayServer
from nas_lightning.evaluation.workers import Messages, Worker, WorkerExecutor
from nas_lightning.files import replacing

__all__ = ["RayExecutor"]

BEAT_S = 5.0
LEAVE_S = 5.0  # most that a worker without work takes to end
Files = Callable[[Trial], tuple[list[str], list[str]]]
LINES = 5  # of what Ray says, shown where a worker cannot be started


class RayExecutor(WorkerExecutor):
    """Up to `workers` actors, started when there are jobs for them.

    Args:
        build: makes in a worker what evaluates there, and the folder of its checkpoints.
        message_of: words the errors of a worker.
        child_seconds: most seconds of one job; None sets no limit.
        folder: keeps what children need of others; None keeps nothing.
        files: names the files of the folder that a trial reads and writes (`Evaluation.files`).
    """

    def __init__(
        self,
        cluster: RayCluster,
        build: Build,
        message_of: Callable[[BaseException], str] = str,
        child_seconds: float | None = None,
        folder: Path | None = None,
        files: Files = lambda trial: ([], []),
    ) -> None:
        super().__init__(cluster.workers, child_seconds)
        self.cluster, self.folder, self.files = cluster, folder, files
        cluster.connect()
        self.threads = cluster.worker_threads
        self._arguments = build, cluster.worker_threads, message_of

    def start_worker(self, place: int, messages: Messages) -> Worker:
        """Returns a new actor, which Ray places on a node that has room for it."""
        actor = self.cluster.actor(RayServer, *self._arguments)
        return _Actor(actor, messages, self.folder, self.files)

    def close(self) -> None:
        """Ends the actors, those without work by themselves, and leaves the cluster."""
        present = filter(None, self.workers)
        idle = [worker for worker in present if worker.is_ready and worker.job is None]
        ends = [worker.leave() for worker in idle if isinstance(worker, _Actor)]
        if ends:
            the_ray().wait(ends, num_returns=len(ends), timeout=LEAVE_S)
        super().close()
        self.cluster.leave()


class _Actor(Worker):
    """One actor; Ray's threads put its answers into the queue."""

    def __init__(self, actor: Any, messages: Messages, folder: Path | None, files: Files) -> None:
        super().__init__()
        self.actor, self.folder, self.files = actor, folder, files
        self._messages, self._asked = messages, time.monotonic()
        self._hear(actor.prepare.remote())

    def send(self, job: Job) -> None:
        """Calls the actor with a job and the files that it reads."""
        names = [] if self.folder is None else self.files(job.trial)[0]
        paths = [path for path in map(self._path, names) if path.is_file()]
        contents = [path.read_bytes() for path in paths]  # which Ray puts into its object store
        text = json.dumps(job.as_dict() | {"files": [path.name for path in paths]})
        self._hear(self.actor.evaluate.remote(text, *contents))

    def keep(self, message: Mapping[str, Any]) -> None:
        """Writes the files that came with an outcome."""
        for name, content in message["files"].items():
            with replacing(self._path(name)) as path:
                path.write_bytes(content)

    def poll(self) -> None:
        """Asks it every few seconds whether it lives."""
        if (now := time.monotonic()) - self._asked > BEAT_S:
            self._asked = now
            self._hear(self.actor.beat.options(concurrency_group="beat").remote())

    def leave(self) -> Any:
        """Has it end, so that it removes its files; returns what is there once it has."""
        return self.actor.__ray_terminate__.remote()

    def end(self) -> None:
        """Kills it."""
        the_ray().kill(self.actor)

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name

    def _hear(self, answer: Any) -> None:
        answer.future().add_done_callback(self._heard)

    def _heard(self, answer: "Future[Mapping[str, Any]]") -> None:
        if (error := answer.exception()) is None:
            message = answer.result()
        else:
            message = {"reason": _words(error)}
            self.printed = str(error).strip().splitlines()[-LINES:]
        self._messages.put((self, message))
        if "reason" in message:
            self._messages.put((self, {"ended": True}))


def _words(error: BaseException) -> str:
    """Returns how an actor ended, by the error that Ray raises."""
    ray, text = the_ray(), str(error)
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "NODE_OUT_OF_MEMORY" in text:
        return "ran out of memory (Ray ended it, since its node had too little left)"
    if "node has died" in text or "node was terminated" in text:
        return "died with its node"
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return "could not be reached"
    if isinstance(error, ray.exceptions.ActorDiedError):
        return "ended unexpectedly, or was killed"
    return f"failed: {text.strip().splitlines()[0]}"
