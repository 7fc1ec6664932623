"""The latency that a run predicts of its child, and what was measured of it in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nas_lightning.core.genotype import Genotype
from nas_lightning.deployment.load import LoadedChild
from nas_lightning.evaluation.latency import Latency
from nas_lightning.evaluation.latency_profile import (
    HERE,
    LatencyProfile,
    cache_file,
    profile_here,
    read_profile,
    run_profile,
    waiting_lock,
)
from nas_lightning.evaluation.timing import cpu_name, interleaved, threads_in_words
from nas_lightning.training.hardware import Hardware

__all__ = ["latency", "latency_notes", "onnx_latency", "profile_of", "promised"]

ERROR = 0.2  # share of the predicted latency by which the measured one may differ


def profile_of(hardware: Hardware, home: Path | None = None) -> LatencyProfile | None:
    """Returns the profile from which latencies are predicted; None if none are.

    `home` is the run's own file: what it has goes before what was measured since, so that a resume
    keeps its limits. A profile from a file is copied there.

    Raises: ValueError: there is no such profile, or it is of another device, version or dtype.
    """
    if hardware.latency is None:
        return None
    if hardware.latency == HERE:
        return _of_here(hardware.threads or 1, home)
    path = Path(hardware.latency).expanduser()
    if home is None:
        return read_profile(path, hardware.threads)
    with waiting_lock(home):
        if not home.is_file():
            read_profile(path, hardware.threads).write(home)
    return replace(run_profile(home), path=path)


def _of_here(threads: int, home: Path | None) -> LatencyProfile:
    """Returns what the run has measured; it grows on the machine where it began."""
    empty = profile_here(threads)
    noted = run_profile(home) if home is not None and home.is_file() else empty
    if (noted.device, noted.versions) != (empty.device, empty.versions):
        return replace(noted, path=home, home=home)
    return replace(noted, path=cache_file(empty), grows=True, home=home)


def latency(child: LoadedChild, predictor: Latency | None = None) -> dict[str, Any]:
    """Returns `latency_ms`, of one input on this CPU, and how it was measured.

    It is the median of 50 runs, or of those that a second has room for; on one thread, or on as
    many as the predictor's profile has.
    """
    threads = 1 if predictor is None else predictor.profile.threads
    x = torch.zeros(1, *child.input_shape)
    (timing,) = interleaved([lambda: child(x)], threads)
    where = f"{threads_in_words(threads)}, batch of 1, {cpu_name()}"
    how = f"median of {timing.count} runs, {where}"
    return {"latency_ms": timing.median_ms, "latency_measured": how}


def onnx_latency(files: Sequence[Path], predictor: Latency | None) -> dict[str, float]:
    """Returns `onnx_latency_ms` of an exported model.onnx on this CPU; empty without one."""
    models = [path for path in files if path.suffix == ".onnx"]
    if not models:
        return {}
    from nas_lightning.deployment.profile_onnx import measure  # of the extra nas-lightning[onnx]

    (row,) = measure(models, 1 if predictor is None else predictor.profile.threads, most_s=1.0)
    return {"onnx_latency_ms": row["median_ms"]}


def promised(
    predictor: Latency | None, genotype: Genotype, child: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what was predicted of a genotype's child; empty where nothing was.

    `latency_error` is by which share the measured latency is above the predicted one, where the
    same was measured: ONNX Runtime's on this CPU for a profile of that.
    """
    if predictor is None:
        return {}
    predicted, profile = predictor(genotype), predictor.profile
    figures = {"predicted_latency_ms": predicted, "predicted_latency_of": profile.subject}
    key = "latency_ms" if profile.is_of_here else "onnx_latency_ms"
    if key in child and profile.device == cpu_name():
        figures["latency_error"] = child[key] / predicted - 1
    return figures


def latency_notes(child: Mapping[str, Any], limit_ms: float | None) -> list[str]:
    """Returns a note where the measured latency is far from what was predicted, or above a limit.

    What is found keeps its limit as predicted.
    """
    error = child.get("latency_error", 0.0)
    measured = child.get("predicted_latency_ms", 0.0) * (1 + error)
    is_over = limit_ms is not None and error > 0 and measured > limit_ms
    if abs(error) <= ERROR and not is_over:
        return []
    side = "above" if error > 0 else "below"
    over = f" and above the limit of {limit_ms:g} ms" if is_over else ""
    return [
        f"the measured latency ({measured:.2f} ms) is {abs(error):.0%} {side} the predicted one"
        f"{over}: was the machine busy when one of them was measured?"
    ]
