"""The same twelve images in random forms are read as they are, or refused; never otherwise."""

import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import folder

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 8, 10, 3), dtype=np.uint8)
COLOURS[:, 0, 0], COLOURS[:, 0, 1] = 0, 255  # the whole range in every image
KINDS = [("ant", "bee", "cat")[place % 3] for place in range(12)]
TRAIN, TEST = slice(0, 9), slice(9, 12)

PARTS = ["train", "Training", "TRAIN", "x_tr", "train-00000-of-00001", "train1", "fit", "a"]
TESTS = ["test", "Testing", "TEST", "x_te", "test-00000-of-00001", "test1", "eval", "val", "b"]
ORDERS = st.permutations(["ant", "bee", "cat"])
# What undoes each orientation of Exif 2.32: how the pixels are stored so that they are upright.
STORED: Mapping[int, Any] = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.swapaxes(0, 1),
    6: np.rot90,
    7: lambda x: np.rot90(x.swapaxes(0, 1), 2),
    8: lambda x: np.rot90(x, -1),
}
FORMS = ["PNG", "TIFF", "BMP", "WEBP"]
TYPES = ["uint8", "int64", "uint16", "float32 of 1", "float64 of 255", "float32 from -1"]

cases = st.fixed_dictionaries(
    {
        "form": st.sampled_from(["folder", "files", "nested", "npz", "csv"]),
        "parts": st.tuples(st.sampled_from(PARTS), st.sampled_from(TESTS)),
        "orders": st.tuples(ORDERS, ORDERS),
        "types": st.tuples(st.sampled_from(TYPES), st.sampled_from(TYPES)),
        "layouts": st.tuples(*[st.sampled_from(["NHWC", "NCHW"])] * 2),
        "files": st.lists(
            st.tuples(st.sampled_from(FORMS), st.integers(1, 8)), min_size=12, max_size=12
        ),
        "is_grey": st.booleans(),
        "is_wide": st.booleans(),
        "range": st.sampled_from([None, None, (0, 255)]),
    }
)
Case = dict[str, Any]


def typed(images: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    if kind == "float32 from -1":
        return (images / np.float32(127.5) - 1).astype(np.float32)
    if kind == "float32 of 1":
        return (images / np.float32(255)).astype(np.float32)
    return images.astype(kind.split()[0])


def encoded(image: NDArray[Any], form: str, turn: int, is_wide: bool) -> bytes:
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112] = turn
    options = {} if form == "BMP" else {"exif": exif}
    pixels = image if form == "BMP" else np.ascontiguousarray(STORED[turn](image))
    if is_wide and pixels.ndim == 2 and form in ("PNG", "TIFF"):
        pixels = pixels.astype(np.uint16)
    Image.fromarray(pixels).save(content, form, lossless=True, **options)
    return content.getvalue()


def write_arrays(home: Path, case: Case, images: NDArray[np.uint8]) -> None:
    arrays: dict[str, Any] = {}
    for number, (name, part) in enumerate(zip(case["parts"], (TRAIN, TEST), strict=True)):
        values = typed(images[part], case["types"][number])
        if case["layouts"][number] == "NCHW" and values.ndim == 4:
            values = values.transpose(0, 3, 1, 2)
        arrays |= {f"x_{name}": values, f"y_{name}": np.array(KINDS[part])}
    np.savez(home / "x.npz", **arrays)


def write_tables(home: Path, case: Case, images: NDArray[np.uint8]) -> None:
    for number, (name, part) in enumerate(zip(case["parts"], (TRAIN, TEST), strict=True)):
        names = case["orders"][number]
        if case["form"] == "nested":
            column = typed(images[part], case["types"][number]).tolist()
        else:
            files = zip(images[part], case["files"][part], strict=True)
            column = [encoded(image, *file, case["is_wide"]) for image, file in files]
        table = pa.table({"image": column, "label": [names.index(kind) for kind in KINDS[part]]})
        features = {"label": {"_type": "ClassLabel", "names": names}}
        info = json.dumps({"info": {"features": features}}).encode()
        table = table.replace_schema_metadata({b"huggingface": info})
        pq.write_table(table, home / f"{name}.parquet")


def write_files(home: Path, case: Case, images: NDArray[np.uint8]) -> None:
    rows = ["file_name,label"]
    for name, part in zip(case["parts"], (TRAIN, TEST), strict=True):
        for place in range(part.start, part.stop):
            form, turn = case["files"][place]
            kind = KINDS[place] if case["form"] == "folder" else "all"
            path = home / name / kind / f"{place:02}.{form.lower()}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(images[place], form, turn, case["is_wide"]))
            rows.append(f"{path.name},{KINDS[place]}")
    if case["form"] == "csv":
        (home / "labels.csv").write_text("\n".join(rows) + "\n")


WRITERS = {"folder": write_files, "csv": write_files, "npz": write_arrays}


def check_one(case: Case) -> bool:
    """Returns whether a case is read, rightly; False if it is refused."""
    images = COLOURS[..., 0] if case["is_grey"] else COLOURS
    with tempfile.TemporaryDirectory() as home:
        WRITERS.get(case["form"], write_tables)(Path(home), case, images)
        data = ImageDataModule(folder, seed=0, path=home, batch_size=2, range=case["range"])
        try:
            data.load()
        except ValueError:
            return False
        arrays = data._store.arrays
        read = [each.pixels.numpy() for each in (data._store.train, data._store.test)]
    expected = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    labels = [*arrays.train_labels.tolist(), *arrays.test_labels.tolist()]
    for image, label in zip(np.concatenate(read), labels, strict=True):
        # Floats become the nearest of 256 levels, which is the level that they were made of.
        same = (image == expected).all((1, 2, 3))
        assert same.sum() == 1, "an image is none of those that were written"
        assert arrays.class_names[label] == KINDS[int(same.argmax())]
    assert len(labels) == 12
    if case["form"] != "csv":  # one table, of which a fifth is for the test
        assert len(arrays.test_labels) == 3
    return True


@given(cases)
@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_images_in_random_forms_are_read_as_they_are_or_refused(case: Case) -> None:
    check_one(case)


@pytest.mark.slow
@given(cases)
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_images_in_thousands_of_forms_are_read_as_they_are_or_refused(case: Case) -> None:
    check_one(case)


@pytest.mark.parametrize("form", ["folder", "files", "nested", "npz", "csv"])
def test_every_form_is_read_somehow(form: str) -> None:
    plain = {"form": form, "parts": ("Training", "TEST"), "orders": (["cat", "ant", "bee"],) * 2}
    plain |= {"types": ("uint8", "uint8"), "layouts": ("NHWC", "NHWC"), "range": None}
    plain |= {"files": [("TIFF", 6)] * 12, "is_grey": False, "is_wide": False}
    assert check_one(plain)
