"""Inputs that other tools read wrongly in silence: each is read right, or refused by name."""

import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_files import idx
from numpy.typing import NDArray
from PIL import Image

from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import folder

Rows = list[dict[str, Any]]


def greys(number: int, shape: tuple[int, int] = (8, 8)) -> NDArray[np.uint8]:
    """Dark and bright images in turn: class 0 and class 1."""
    noise = np.random.default_rng(0).integers(-20, 20, (number, *shape))
    return (np.array([60, 190])[np.arange(number) % 2][:, None, None] + noise).astype(np.uint8)


def encoded(pixels: NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form, **options)
    return content.getvalue()


def write(path: Path, images: list[Any], labels: list[Any], names: list[str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files = images if isinstance(images[0], list) else [{"bytes": e, "path": None} for e in images]
    table = pa.table({"image": files, "label": labels})
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
        info = json.dumps({"info": {"features": features}}).encode()
        table = table.replace_schema_metadata({b"huggingface": info})
    pq.write_table(table, path)


def loaded(path: Path, **options: Any) -> ImageDataModule:
    data = ImageDataModule(folder, seed=0, path=str(path), batch_size=4, **options)
    data.load()
    return data


def refused(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=message):
        loaded(path, **options)


def is_bright(data: ImageDataModule) -> None:
    """Asserts that the brightness of every image tells its class, bright being the second one."""
    for images, labels in (data.training_arrays(), data.test_arrays()):
        assert ((images.mean((1, 2, 3)) > 0) == (labels == 1)).all()


PNGS = [encoded(each) for each in greys(80)]
KINDS = [0, 1] * 40


@pytest.mark.parametrize("part", ["test", "val"])
def test_class_numbers_of_another_order_are_mapped_by_name(tmp_path: Path, part: str) -> None:
    write(tmp_path / "train.parquet", PNGS, KINDS, ["cat", "dog"])
    write(tmp_path / f"{part}.parquet", PNGS[:40], [1, 0] * 20, ["dog", "cat"])
    write(tmp_path / "test-1.parquet", PNGS[:20], KINDS[:20], ["cat", "dog"])
    data = loaded(tmp_path)
    assert data.class_names == ("cat", "dog")
    is_bright(data)


def test_shards_of_one_part_are_mapped_by_name(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet", PNGS, KINDS, ["cat", "dog"])
    write(tmp_path / "train-00001-of-00002.parquet", PNGS[:40], [1, 0] * 20, ["dog", "cat"])
    data = loaded(tmp_path)
    assert len(data.training_arrays()[1]) + len(data.test_arrays()[1]) == 120
    is_bright(data)


def test_a_saved_dictionary_of_parts_is_mapped_by_name(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    splits = {}
    for part, names, labels in (
        ("train", ["cat", "dog"], KINDS),
        ("test", ["dog", "cat"], [1, 0] * 40),
    ):
        kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
        rows = {"image": [{"bytes": each, "path": None} for each in PNGS], "label": labels}
        splits[part] = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    is_bright(loaded(tmp_path / "saved"))


def test_names_and_numbers_without_names_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", PNGS, KINDS, ["cat", "dog"])
    write(tmp_path / "test.parquet", PNGS[:40], KINDS[:40])
    refused(tmp_path, r"labels of part 'test' cannot be told apart by names.*'train': named cat, d")


def test_integers_of_two_types_are_one_and_floats_beside_them_are_refused(tmp_path: Path) -> None:
    parts = {"x_train": greys(60), "y_train": KINDS[:60], "x_test": greys(60), "y_test": KINDS[:60]}
    np.savez(tmp_path / "x.npz", **parts | {"y_test": np.uint8(KINDS[:60])})
    is_bright(loaded(tmp_path))
    np.savez(tmp_path / "x.npz", **parts | {"y_test": np.float32(KINDS[:60])})
    refused(tmp_path, r"'train': e.g. \d; 'test': e.g. \d.0; give .* of one type, e.g. integers")


def test_float_labels_whose_classes_have_names_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=greys(60), y=np.float32(KINDS[:60]))
    wanted = r"names \(cat, dog\), got floats such as \d.0; make them integers, e.g. y.astype\(int"
    with pytest.raises(ValueError, match=wanted):
        folder(str(tmp_path), class_names=["cat", "dog"])


def test_a_test_class_that_training_lacks_is_named(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", PNGS, KINDS, ["cat", "dog"])
    write(tmp_path / "test.parquet", PNGS[:40], KINDS[:40], ["cat", "wolf"])
    refused(tmp_path, r"label 'wolf' is none of the training labels: cat, dog; add it")


@pytest.mark.parametrize(
    "names", [("Training", "Testing"), ("TRAIN", "TEST"), ("train_set", "test_set")]
)
def test_parts_are_known_in_any_case(tmp_path: Path, names: tuple[str, str]) -> None:
    for part, number in zip(names, (40, 20), strict=True):
        for place, content in enumerate(PNGS[:number]):
            path = tmp_path / part / ("cat", "dog")[place % 2] / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    data = loaded(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert (len(data.training_arrays()[1]), len(data.test_arrays()[1])) == (40, 20)


@pytest.mark.parametrize("names", [("fold1", "fold2"), ("train", "holdout")])
def test_folders_of_unknown_parts_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for part in names:
        for place, content in enumerate(PNGS[:20]):
            path = tmp_path / part / ("cat", "dog")[place % 2] / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    refused(tmp_path, rf"{names[1]}.*known are train: train, training.*data.parts=")
    data = loaded(tmp_path, parts={"train": names[0], "test": names[1]})
    assert (data.class_names, len(data.test_arrays()[1])) == (("cat", "dog"), 20)


@pytest.mark.parametrize(
    ("train", "test"),
    [("train1", "test1"), ("x-train", "x-test"), ("TRAIN", "Test"), ("a/tr", "a/te")],
)
def test_files_of_parts_are_known(tmp_path: Path, train: str, test: str) -> None:
    write(tmp_path / f"{train}.parquet", PNGS[:40], KINDS[:40])
    write(tmp_path / f"{test}.parquet", PNGS[:20], KINDS[:20])
    data = loaded(tmp_path)
    assert (len(data.training_arrays()[1]), len(data.test_arrays()[1])) == (40, 20)


def test_a_file_of_an_unknown_part_is_refused_or_told(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", PNGS[:40], KINDS[:40])
    write(tmp_path / "eval.parquet", PNGS[:20], KINDS[:20])
    refused(tmp_path, r"'.*' holds several data sets: eval, train; .*data.parts={train: ..., test")
    data = loaded(tmp_path, parts={"train": "train", "test": "eval"})
    assert (len(data.training_arrays()[1]), len(data.test_arrays()[1])) == (40, 20)


@pytest.mark.parametrize(
    ("pixels", "form"),
    [
        (greys(60).astype(np.int32), "TIFF"),
        (greys(60).astype(np.uint16), "PNG"),
        (greys(60).astype(np.uint16), "TIFF"),
        (greys(60).astype(np.float32), "TIFF"),
    ],
)
def test_wide_pixels_are_read_by_a_stated_range(
    tmp_path: Path, pixels: NDArray[Any], form: str
) -> None:
    write(tmp_path / "x.parquet", [encoded(each, form) for each in pixels], KINDS[:60])
    refused(tmp_path, r"data.range=\[(LOW|0,255)")
    data = loaded(tmp_path, range=(0, 255))
    is_bright(data)
    assert data.preprocessing["range"] == [0, 255]


@pytest.mark.parametrize("top", [1.02, 255.0])
def test_floats_outside_their_range_are_refused(tmp_path: Path, top: float) -> None:
    images = (greys(60) / greys(60).max() * top).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=images, y=KINDS[:60])
    refused(tmp_path, rf"float32 must lie in \[0, 1\], got [0-9.]+ to {top:g}; .*data.range=")
    refused(tmp_path, r"; signals \(N, C, L\) are taken in Python: nl.search\(data=\{")
    is_bright(loaded(tmp_path, range=(0, top * 1.001)))


def test_parts_of_different_types_are_refused(tmp_path: Path) -> None:
    images = greys(60)
    floats = (images / 255).astype(np.float32)
    np.savez(
        tmp_path / "x.npz", x_train=floats, y_train=KINDS[:60], x_test=images, y_test=KINDS[:60]
    )
    refused(
        tmp_path, r"type and the layout of the training .* float32 \(N, 8, 8\) and uint8 \(N, 8"
    )


def test_parts_of_different_channel_order_are_refused(tmp_path: Path) -> None:
    images = np.repeat(greys(60)[:, None], 3, 1)
    labels, last = KINDS[:60], images.transpose(0, 2, 3, 1)
    np.savez(tmp_path / "x.npz", x_train=images, y_train=labels, x_test=last, y_test=labels)
    refused(
        tmp_path, r"the layout of the training images, .*\(N, 3, 8, 8\) and uint8 \(N, 8, 8, 3\)"
    )


def test_rows_of_other_shapes_are_refused_by_shape(tmp_path: Path) -> None:
    images = [*greys(40, (8, 12)).tolist(), *greys(40, (12, 8)).tolist()]
    write(tmp_path / "x.parquet", images, KINDS)
    refused(
        tmp_path, r"images in column 'image' of .*x.parquet must have one shape, .* 8 and 12 it"
    )


def test_several_idx_sets_are_named(tmp_path: Path) -> None:
    for name in ("balanced", "letters"):
        for part in ("train", "test"):
            stem = tmp_path / f"emnist-{name}-{part}"
            for what, content in (
                ("images-idx3", greys(20)),
                ("labels-idx1", np.uint8(KINDS[:20])),
            ):
                Path(f"{stem}-{what}-ubyte.gz").write_bytes(gzip.compress(idx(content)))
    refused(
        tmp_path, r"several data sets: emnist-balanced-test, .*, emnist-letters-train; name one"
    )
    data = loaded(tmp_path, parts={"train": "emnist-letters-train", "test": "emnist-letters-test"})
    assert len(data.test_arrays()[1]) == 20


def test_images_of_every_suffix_are_read(tmp_path: Path) -> None:
    suffixes = (".png", ".bmp", ".tif", ".gif", ".ppm", ".PNG", ".webp")
    for place, image in enumerate(greys(42)):
        home = tmp_path / str(place % 2)
        home.mkdir(exist_ok=True)
        Image.fromarray(image).save(home / f"{place}{suffixes[place % 7]}", lossless=True)
    (tmp_path / "1" / "notes.txt").write_text("no image")
    Image.fromarray(image).save(tmp_path / "loose.png")
    data = loaded(tmp_path)
    is_bright(data)
    assert sum(data.facts["read"].values()) == 42
    assert data.facts["passed_over"] == ["1 .txt files", "1 images outside the classes"]


@pytest.mark.parametrize("form", ["TIFF", "PNG", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, form: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    image = np.zeros((8, 20, 3), np.uint8)
    image[:4, :10] = 255  # the upper left corner as it is stored
    path = tmp_path / f"x.{form}"
    Image.fromarray(image).save(path, form, exif=exif, quality=100)
    for kind in ("a", "b"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "set" / kind / f"{number}.{form.lower()}").write_bytes(path.read_bytes())
    arrays = folder(str(tmp_path / "set"))
    (height, width) = (8, 20) if turn < 5 else (20, 8)
    assert arrays.train.shape == (3, height, width)
    pixels = arrays.train.read(torch.tensor([0]))[0, 0] > 128
    corners = [bool(pixels[y, x]) for y in (1, height - 2) for x in (1, width - 2)]
    # Where the stored upper left corner lies, as Exif 2.32 has it for orientations 1 to 8.
    assert corners.index(True) == (0, 1, 3, 2, 0, 1, 3, 2)[turn - 1]
    assert sum(corners) == 1


def test_images_carried_by_opacity_alone_are_refused(tmp_path: Path) -> None:
    opaque = [np.dstack([np.zeros((8, 8, 3), np.uint8), each]) for each in greys(60)]
    write(tmp_path / "x.parquet", [encoded(each) for each in opaque], KINDS[:60])
    refused(
        tmp_path, r"cannot read the image 'image of row 0 of .*only its opacity shows something"
    )
    assert loaded(tmp_path, channels=4).input_shape == (4, 8, 8)


def test_a_file_of_several_images_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(each) for each in greys(2)]
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for number in range(4):
            path = tmp_path / kind / f"{number}.gif"
            frames[0].save(path, save_all=True, append_images=frames[1:])
    refused(tmp_path, r"cannot read the image '.*0.gif' \(it holds 2 images\)")


@pytest.mark.parametrize("part", ["training", "test"])
def test_images_of_nearly_one_grey_are_refused(tmp_path: Path, part: str) -> None:
    images = {"training": greys(60), "test": greys(60)}
    images[part] = (images[part] > 128).astype(np.uint8)
    x, y = images.values()
    np.savez(tmp_path / "x.npz", x_train=x, y_train=KINDS[:60], x_test=y, y_test=KINDS[:60])
    refused(
        tmp_path, rf"the {part} images are nearly of one grey, levels 0 to 1 of 0 to 255; .*range="
    )


def test_arrays_that_are_not_of_a_pair_are_passed_over_by_name(tmp_path: Path) -> None:
    images = greys(60)
    np.savez(tmp_path / "x.npz", x=images, y=KINDS[:60], ids=np.arange(60), x_mean=1.0)
    assert loaded(tmp_path).facts["passed_over"] == ["array 'ids'", "array 'x_mean'"]
    np.savez(tmp_path / "x.npz", x=images, images=images, y=KINDS[:60])
    refused(tmp_path, r"'.*x.npz' holds images twice: 'x' and 'images'; remove or rename one")


def test_numbered_classes_are_named_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    labels = [str(each % 12) for each in range(60)]
    write(tmp_path / "x.parquet", PNGS[:60], labels)
    names = [f"kind {number}" for number in range(12)]
    arrays = folder(str(tmp_path), class_names=names)
    order = sorted(str(each) for each in range(12))
    assert arrays.class_names == tuple(f"kind {each}" for each in order)


Fault = Callable[[Path], None]


def test_the_message_of_an_unknown_part_lists_what_is_known(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_train=greys(9), y_train=KINDS[:9], x=greys(9), y=KINDS[:9])
    wanted = "it is not known what the part '' of"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        folder(str(tmp_path))
