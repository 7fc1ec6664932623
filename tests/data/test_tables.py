"""Images that a table labels: CSV and JSON lines beside them, hive partitions, `datasets`."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nas_lightning.data.images import ImageArrays
from nas_lightning.data.sources import folder

NUMBER = 12
PIXELS = np.random.default_rng(0).integers(0, 256, (NUMBER, 8, 8), dtype=np.uint8)
KINDS = [("ant", "bee")[place % 2] for place in range(NUMBER)]


def paint(home: Path, names: list[str], start: int = 0) -> None:
    for place, name in enumerate(names, start):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[place]).save(home / name)


def csv(path: Path, header: str, names: list[str], kinds: list[Any]) -> None:
    rows = [f"{name},{kind}" for name, kind in zip(names, kinds, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def by_content(arrays: ImageArrays) -> dict[int, str]:
    """Returns the class of each image by its place among those that were written."""
    pixels = [each.read(torch.arange(len(each)))[:, 0] for each in (arrays.train, arrays.test)]
    labels = torch.cat([arrays.train_labels, arrays.test_labels]).tolist()
    places = [int((each.numpy() == PIXELS).all((1, 2)).argmax()) for each in torch.cat(pixels)]
    return dict(sorted(zip(places, (arrays.class_names[each] for each in labels), strict=True)))


ALL = dict(enumerate(KINDS))
PNG = [f"{place:03}.png" for place in range(NUMBER)]


@pytest.mark.parametrize(
    ("header", "inside", "named"),
    [
        ("file_name,label", "", PNG),
        ("filename,class", "images/", PNG),  # Keras: in a folder
        ("id,breed", "train/", [name[:-4] for name in PNG]),  # Kaggle: without a suffix
        ("image_id,label", "", [name[:-4] for name in PNG]),  # numbers that begin with 0
        ("image,label", "images/", [f"images/{name}" for name in PNG]),
    ],
)
def test_a_csv_file_labels_the_images_beside_it(
    tmp_path: Path, header: str, inside: str, named: list[str]
) -> None:
    paint(tmp_path, [inside + name for name in PNG])
    csv(tmp_path / "labels.csv", header, named, KINDS)
    assert by_content(folder(str(tmp_path))) == ALL
    assert by_content(folder(str(tmp_path / "labels.csv"))) == ALL


def test_each_part_may_have_its_csv_file(tmp_path: Path) -> None:
    for part, names, place in (("train", PNG[:8], 0), ("test", PNG[8:], 8)):
        paint(tmp_path / part, names, place)
        rows = [
            f'{{"file_name": "{n}", "label": "{k}"}}'
            for n, k in zip(names, KINDS[place:], strict=False)
        ]
        (tmp_path / part / "metadata.jsonl").write_text("\n".join(rows) + "\n")
    arrays = folder(str(tmp_path))
    assert (len(arrays.train), len(arrays.test), by_content(arrays)) == (8, 4, ALL)


def test_images_that_a_csv_file_does_not_name_are_passed_over(tmp_path: Path) -> None:
    paint(tmp_path, PNG)
    csv(tmp_path / "labels.csv", "file_name,label", PNG[:10], KINDS[:10])
    assert folder(str(tmp_path)).passed_over == ("2 images without a label",)


def test_a_name_that_several_images_have_is_refused(tmp_path: Path) -> None:
    for home in ("a", "b"):
        paint(tmp_path / "all" / home, PNG)
    csv(tmp_path / "labels.csv", "file_name,label", PNG, KINDS)
    with pytest.raises(ValueError, match=r"'000.png', an image of .*, is the name of 2 files in '"):
        folder(str(tmp_path))


def test_a_name_that_no_image_has_is_refused(tmp_path: Path) -> None:
    paint(tmp_path, PNG[1:])
    csv(tmp_path / "labels.csv", "file_name,label", PNG, KINDS)
    with pytest.raises(ValueError, match=r"'000.png', an image of .*, is the name of no file in '"):
        folder(str(tmp_path))


def test_a_csv_file_beside_classes_is_a_second_data_set(tmp_path: Path) -> None:
    for place, name in enumerate(PNG):
        paint(tmp_path / KINDS[place], [name], place)
    csv(tmp_path / "labels.csv", "file_name,label", PNG, KINDS)
    with pytest.raises(
        ValueError, match=r"several data sets: .csv files, images by class; name one"
    ):
        folder(str(tmp_path))
    csv(tmp_path / "labels.csv", "seconds,loss", PNG, KINDS)
    arrays = folder(str(tmp_path))
    assert (by_content(arrays), arrays.passed_over) == (ALL, ("1 .csv files",))


def table(places: range, **more: Any) -> pa.Table:
    files = []
    for place in places:
        content = io.BytesIO()
        Image.fromarray(PIXELS[place]).save(content, "PNG")
        files.append({"bytes": content.getvalue(), "path": None})
    return pa.table({"image": files, **more})


def test_folders_of_a_partition_label_the_rows(tmp_path: Path) -> None:
    for kind in ("ant", "bee"):
        for part, places in (("train", range(8)), ("test", range(8, NUMBER))):
            home = tmp_path / f"split={part}" / f"label={kind}"
            home.mkdir(parents=True)
            mine = range(places.start + (kind == "bee"), places.stop, 2)
            pq.write_table(
                table(mine), home / "part-00000-0a1b2c3d-0000-1111-2222-0123456789ab.c000.parquet"
            )
    arrays = folder(str(tmp_path))
    assert (len(arrays.train), len(arrays.test), by_content(arrays)) == (8, 4, ALL)


def test_two_columns_that_may_hold_the_labels_are_refused(tmp_path: Path) -> None:
    pq.write_table(table(range(NUMBER), label=KINDS, target=KINDS), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"which column holds the labels; .* from: label, target"):
        folder(str(tmp_path))
    assert by_content(folder(str(tmp_path), label_column="label")) == ALL
