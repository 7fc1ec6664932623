"""export=[onnx,pt2]: a trained child as one file that other programs run."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

if TYPE_CHECKING:
    from torch import Tensor

    from nas_lightning.core.search_space import SearchSpace
    from nas_lightning.deployment.load import LoadedChild

__all__ = ["FORMATS", "check_export", "export_child"]

FORMATS = {"onnx": ("onnx", "onnxruntime", "onnxscript"), "pt2": ()}  # and what each needs
TOLERANCE = 1e-5  # of the largest output, or of 1 where all are smaller
BATCHES = (1, 3)  # the file must take any; it is written from a batch of 2
INPUT, OUTPUT = "images", "outputs"

Run = Callable[["Tensor"], "Tensor"]


def check_export(cfg: DictConfig) -> None:
    """Refuses an export that cannot be, before any work is done for it.

    Args:
        cfg: the configuration, with `export` and, of a search, `retrain`.

    Raises:
        ValueError: a format is unknown, a package for it lacks, or no child is to be trained.
    """
    for name in cfg.export:
        if name not in FORMATS:
            raise ValueError(f"unknown export '{name}'; choose from: {', '.join(FORMATS)}")
        if lacking := [package for package in FORMATS[name] if find_spec(package) is None]:
            raise ValueError(
                f"export=[{name}] needs {', '.join(lacking)}; install nas-lightning[onnx]"
            )
    if cfg.export and not cfg.get("retrain", True):
        raise ValueError(
            f"export=[{','.join(cfg.export)}] needs a trained child, but retrain=false; leave one "
            "of them out"
        )


def export_child(
    run_dir: str | Path, formats: Sequence[str], space: "SearchSpace | None" = None
) -> list[Path]:
    """Writes the trained child of a run into its folder child/, in every format that is named.

    A file holds class names, preprocessing and task (see `LoadedChild`) as JSON texts under these
    names, takes batches of any size, and gives the child's outputs to 1e-5.

    Args:
        run_dir: the folder that nas-search or nas-train printed.
        formats: "onnx" writes model.onnx, "pt2" writes model.pt2 (torch.export).
        space: the search space, where it is the user's own (see `load_child`).

    Returns:
        The files.

    Raises:
        ValueError: the folder holds no trained child, or a file gives other outputs.
    """
    from nas_lightning.deployment.load import load_child

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


def _write_onnx(child: "LoadedChild", facts: dict[str, str], path: Path) -> Run:
    """Writes an ONNX file; returns what runs it with ONNX Runtime."""
    import onnxruntime
    import torch

    with _quiet_exporter():
        program = torch.onnx.export(
            child,
            (_images(child, 2),),
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
def _quiet_exporter() -> Iterator[None]:
    """Keeps what the ONNX exporter says about its own insides off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _write_pt2(child: "LoadedChild", facts: dict[str, str], path: Path) -> Run:
    """Writes a file of torch.export; returns what runs it, read back."""
    import torch

    shapes = {"x": {0: torch.export.Dim("batch")}}
    program = torch.export.export(child, (_images(child, 2),), dynamic_shapes=shapes)
    torch.export.save(program, path, extra_files=facts)
    module: Run = torch.export.load(path).module()
    return module


def _check_outputs(child: "LoadedChild", run: Run, path: Path) -> None:
    """Removes a file, and says so, that does not give the child's outputs."""
    import torch

    for size in BATCHES:
        images = _images(child, size)
        with torch.no_grad():
            wanted, found = child(images), run(images)
        difference = float((found - wanted).abs().max())
        if not difference <= TOLERANCE * max(1.0, float(wanted.abs().max())):
            path.unlink()
            raise ValueError(
                f"{path} must give the child's outputs to {TOLERANCE}, but differs by "
                f"{difference:.1e} on a batch of {size}; it is removed: leave out export, and "
                "load the child with nas_lightning.load_child"
            )


def _images(child: "LoadedChild", number: int) -> "Tensor":
    """Returns normalised images of noise (number, C, H, W), always the same ones."""
    import torch

    height, width = child.preprocessing["image_size"]
    shape = (number, child.preprocessing["channels"], height, width)
    rng = torch.Generator().manual_seed(number)
    return child.normalise(torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8))
