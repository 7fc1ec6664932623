"""export=[onnx,pt2]: a trained child as one file that other programs run."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from nas_lightning.core.checks import one_of
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.load import LoadedChild, load_child

__all__ = ["FORMATS", "check_export", "export_child", "quiet_exporter"]

FORMATS = {"onnx": ("onnx", "onnxruntime", "onnxscript"), "pt2": ()}  # and what each needs
TOLERANCE = 1e-5  # of the largest output, or of 1 where all are smaller
BATCHES = (1, 3)  # that are tried; the file must take any and is written from a batch of 2
INPUT, OUTPUT = "images", "outputs"

Runner = Callable[[Tensor], Tensor]


def check_export(formats: Sequence[str], retrain: bool = True) -> None:
    """Refuses an impossible export, before any work is done for it.

    Raises: ValueError: a format is unknown, it needs a missing package, or no child is to be
        trained.
    """
    for name in formats:
        one_of("export", name, FORMATS)
        if missing := [package for package in FORMATS[name] if find_spec(package) is None]:
            raise ValueError(
                f"export=[{name}] needs {', '.join(missing)}; install nas-lightning[onnx]"
            )
    if formats and not retrain:
        listed = ",".join(formats)
        raise ValueError(
            f"export=[{listed}] needs a trained child, but retrain=false; leave one of them out"
        )


def export_child(
    run_dir: str | Path, formats: Sequence[str], space: SearchSpace | None = None
) -> list[Path]:
    """Writes a run's trained child into its folder child/ in each format; returns the files.

    A file holds class names, preprocessing and task (see `LoadedChild`) as JSON texts under these
    names, takes batches of any size, and gives the child's outputs to 1e-5.

    Args:
        run_dir: the folder that nas-search or nas-train printed.
        formats: "onnx" writes model.onnx, "pt2" writes model.pt2 (torch.export).
        space: the search space, where it is the user's own (see `load_child`).

    Raises: ValueError: the folder holds no trained child, or a file gives other outputs.
    """
    if not formats:
        return []
    child = load_child(run_dir, space)
    facts = {
        "class_names": json.dumps(list(child.class_names)),
        "preprocessing": json.dumps(child.preprocessing),
        "task": json.dumps(child.task),
    }
    written = []
    for name in formats:
        path = Path(run_dir).expanduser() / "child" / f"model.{name}"
        run = {"onnx": _write_onnx, "pt2": _write_pt2}[name](child, facts, path)
        _check_outputs(child, run, path)
        written.append(path)
    return written


def _write_onnx(child: LoadedChild, facts: dict[str, str], path: Path) -> Runner:
    """Writes an ONNX file; returns what runs it with ONNX Runtime."""
    import onnxruntime  # of the extra nas-lightning[onnx]

    with quiet_exporter():
        program = torch.onnx.export(
            child,
            (_inputs(child, 2),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(facts)
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keeps torch's exporter from warning inside the block."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _write_pt2(child: LoadedChild, facts: dict[str, str], path: Path) -> Runner:
    """Writes a file of torch.export; returns what runs it, read back."""
    shapes = {"x": {0: torch.export.Dim("batch")}}
    program = torch.export.export(child, (_inputs(child, 2),), dynamic_shapes=shapes)
    torch.export.save(program, path, extra_files=facts)
    module: Runner = torch.export.load(path).module()
    return module


def _check_outputs(child: LoadedChild, run: Runner, path: Path) -> None:
    """Checks that a file gives the child's outputs; removes it if it does not."""
    for size in BATCHES:
        inputs = _inputs(child, size)
        with torch.no_grad():
            expected, outputs = child(inputs), run(inputs)
        difference = float((outputs - expected).abs().max())
        if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
            path.unlink()
            raise ValueError(
                f"{path} must give the child's outputs to {TOLERANCE}, but differs by "
                f"{difference:.1e} on a batch of {size}; it is removed: leave out export, and "
                "load the child with nas_lightning.load_child"
            )


def _inputs(child: LoadedChild, number: int) -> Tensor:
    """Returns inputs of noise (number, *input_shape), of images normalised, always the same."""
    shape, rng = (number, *child.input_shape), torch.Generator().manual_seed(number)
    if not child.inputs.takes_pixels:
        return torch.randn(shape, generator=rng)
    return child.normalise(torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8))
