"""A worker's side of `evaluation.processes`: it reads jobs and writes what became of them.

A message is a line of JSON, one of those of `evaluation.workers`; "alive" comes every few seconds.
"""

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from queue import SimpleQueue
from typing import Any

import torch

from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.executors import Job, evaluated

__all__ = ["guarded", "serve"]

BEAT_S = 5.0


def serve(
    build: Callable[[], tuple[SearchSpace, Evaluation]],
    message_of: Callable[[BaseException], str] = str,
) -> None:
    """Evaluates the jobs that come on standard input, with what `build` makes; never returns.

    The process ends with the one that writes there, however that ends, and not at a SIGTERM, which
    that one answers. `message_of` words errors.
    """
    # blocked rather than ignored: Lightning has a handler of its own while it trains
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    jobs, pipe = SimpleQueue[bytes](), _Pipe()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    threading.Thread(target=_beat, args=(pipe,), daemon=True).start()

    def work() -> Mapping[str, Any]:
        space, evaluation = build()
        pipe.send(ready=True)
        while True:
            job = Job.of(json.loads(jobs.get()), space)
            pipe.send(outcome=asdict(evaluated(job, evaluation)))

    pipe.send(**guarded(work, message_of))
    os._exit(1)  # with the threads


def guarded(
    step: Callable[[], Mapping[str, Any]], message_of: Callable[[BaseException], str] = str
) -> Mapping[str, Any]:
    """Returns the message that a step returns, or the one that tells how it failed."""
    try:
        return step()
    except (MemoryError, torch.OutOfMemoryError) as error:
        return {"reason": f"ran out of memory ({str(error).partition('.')[0]})"}
    except Exception as error:
        return {"error": message_of(error), "traceback": traceback.format_exc()}


class _Pipe:
    """Standard output, kept for messages: what the process prints goes to standard error."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb")
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def send(self, **message: Any) -> None:
        """Writes a message."""
        with self._lock:
            self._file.write(json.dumps(message).encode() + b"\n")
            self._file.flush()


def _read(jobs: "SimpleQueue[bytes]") -> None:
    with os.fdopen(os.dup(0), "rb") as lines:
        for line in lines:
            jobs.put(line)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # with the loaders that it has started


def _beat(pipe: _Pipe) -> None:
    while True:
        time.sleep(BEAT_S)
        pipe.send(alive=True)
