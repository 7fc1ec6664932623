"""Arrays of Python become the data set that a folder of the same samples is, or are refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torch import Tensor

from nas_lightning.config import schema
from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.from_arrays import data_of_arrays
from nas_lightning.data.normalisation import Standardisation
from nas_lightning.data.user_data import RunData, as_run_data

NUMBER = 60
CLASSES = np.arange(NUMBER) % 3


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).normal(3, 2, (NUMBER, *shape))


def pixels(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (NUMBER, *shape), dtype=np.uint8)


def loaded(x: Any, y: Any = CLASSES, test: Any = None, **options: Any) -> RunData:
    settings: dict[str, Any] = {"seed": 0, "targets": "classes", "batch_size": 8} | options
    data = as_run_data(data_of_arrays(x, y, test, **settings), 0, settings["targets"])
    data.load()
    return data


def epoch_of(loader: Any, epoch: int = 1) -> Tensor:
    loader.set_epoch(epoch)
    return torch.cat([x for x, _ in loader])


SHAPES = {"images": (3, 9, 10), "signals": (2, 30), "tables": (5,)}


def samples(kind: str) -> Any:
    return pixels(*SHAPES[kind]) if kind == "images" else numbers(*SHAPES[kind])


@pytest.mark.parametrize("kind", SHAPES)
def test_search_child_candidate_and_baseline_get_batches(kind: str) -> None:
    data = loaded(samples(kind))
    step = next(iter(data.search().train_dataloader()))
    child, candidate = data.final(), data.candidate(max_samples=8)
    assert (data.input_shape, data.num_outputs, data.batch_size) == (SHAPES[kind], 3, 8)
    assert [step[part][0].shape for part in ("train", "val")] == [(8, *SHAPES[kind])] * 2
    assert [len(view.train_dataloader()) for view in (child, candidate)] == [6, 1]
    assert sum(len(y) for _, y in data.search().val_dataloader()) == 24
    assert sum(len(y) for _, y in child.test_dataloader()) == 12
    assert [part.shape for part in data.training_arrays()] == [(48, *SHAPES[kind]), (48,)]
    assert [part.shape for part in data.test_arrays()] == [(12, *SHAPES[kind]), (12,)]


@pytest.mark.parametrize("kind", SHAPES)
def test_tensors_are_taken_as_arrays_are(kind: str) -> None:
    x = samples(kind)
    data = loaded(torch.tensor(x), torch.tensor(CLASSES))
    np.testing.assert_array_equal(data.training_arrays()[0], loaded(x).training_arrays()[0])


@pytest.mark.parametrize("kind", SHAPES)
def test_the_split_follows_the_seed_and_the_test_fifth_does_not(kind: str) -> None:
    first, again, other = (loaded(samples(kind), seed=seed) for seed in (0, 0, 1))
    assert first.split_hash == again.split_hash != other.split_hash
    np.testing.assert_array_equal(first.test_arrays()[0], other.test_arrays()[0])


@pytest.mark.parametrize("kind", SHAPES)
def test_a_test_set_is_kept(kind: str) -> None:
    x = samples(kind)
    data = loaded(x[:50], CLASSES[:50], (x[50:], CLASSES[50:]))
    assert data.test_arrays()[1].tolist() == CLASSES[50:].tolist()


@pytest.mark.parametrize("kind", ["signals", "tables"])
def test_what_only_images_can_have_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"crop_padding \(2\) needs images, the data have the s"):
        loaded(samples(kind), augmentation=Augmentation(2, False))
    with pytest.raises(ValueError, match=r"image_size \(8\) needs images, .* leave it out"):
        loaded(samples(kind)).candidate(image_size=8)
    with pytest.raises(ValueError, match=r"cutout \(4\) needs images, .* leave it out"):
        loaded(samples(kind)).final(cutout=4)


@pytest.mark.parametrize("kind", SHAPES)
def test_samples_may_be_mixed_up(kind: str) -> None:
    data = loaded(samples(kind), augmentation=Augmentation(0, False, mixup=0.2))
    x, y = next(iter(data.final().train_dataloader()))
    assert (x.shape, y.shape) == ((8, *SHAPES[kind]), (8, 3))


@pytest.mark.parametrize("kind", ["signals", "tables"])
def test_an_epoch_is_the_same_whenever_it_is_asked_for(kind: str) -> None:
    loaders = [loaded(samples(kind)).final().train_dataloader() for _ in range(2)]
    epoch_of(loaders[0], 0)
    torch.manual_seed(1)
    assert torch.equal(epoch_of(loaders[0]), epoch_of(loaders[1]))


@pytest.mark.parametrize("as_floats", [False, True])
def test_arrays_of_images_are_the_data_set_of_an_npz_file(tmp_path: Path, as_floats: bool) -> None:
    x = pixels(9, 10, 3) / np.float32(255) if as_floats else pixels(9, 10, 3)
    np.savez(tmp_path / "x.npz", x=x, y=CLASSES)
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        path = f"data.path='{tmp_path}/x.npz'"
        cfg = compose("search", ["data=folder", path, "data.batch_size=8"])
    file, arrays = make(cfg.data, "data", seed=3), loaded(x, seed=3)
    assert arrays.preprocessing == file.preprocessing
    assert (arrays.split_hash, arrays.class_names) == (file.split_hash, file.class_names)
    views = [data.final().train_dataloader() for data in (arrays, file)]
    assert torch.equal(epoch_of(views[0]), epoch_of(views[1]))
    tested = [data.test_arrays()[0] for data in (arrays, file)]
    np.testing.assert_array_equal(tested[0], tested[1])


def test_images_may_be_searched_at_another_size() -> None:
    data = loaded(pixels(1, 9, 10), augmentation=None)
    found = [x for x, _ in data.candidate(image_size=8).val_dataloader()]
    whole = [x for x, _ in data.candidate().val_dataloader()]
    assert (found[0].shape[1:], whole[0].shape[1:]) == ((1, 8, 8), (1, 9, 10))


@pytest.mark.parametrize(
    ("x", "options", "shape"),
    [
        (pixels(9, 10), {}, (1, 9, 10)),
        (pixels(9, 10) / 255, {"kind": "images"}, (1, 9, 10)),
        (pixels(2, 9, 10), {}, (2, 9, 10)),
        (pixels(9, 10, 7), {}, (7, 9, 10)),
        (pixels(16, 16, 9), {"layout": "NHWC"}, (9, 16, 16)),
        (numbers(9, 10), {}, (9, 10)),
        (pixels(9, 10), {"kind": "signals"}, (9, 10)),
        (pixels(9).astype(np.int64), {}, (9,)),
    ],
)
def test_the_kind_and_the_channels_are_known(
    x: Any, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    assert loaded(x, **options).input_shape == shape


@pytest.mark.parametrize("kind", ["signals", "tables"])
def test_numbers_are_standardised_by_the_training_set(kind: str) -> None:
    x = samples(kind)
    x[:, 1] = 7.0  # a constant: its deviation counts as 1
    x, x_test = x[:48], x[48:]
    data = loaded(x, CLASSES[:48], (x_test, CLASSES[48:]))
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    mean, std = x.mean(axes), x.std(axes)
    std[1] = 1.0
    found = data.preprocessing
    assert found["input_shape"] == list(x.shape[1:])
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(found["std"], std, rtol=1e-12)
    raw = Standardisation(tuple(found["mean"]), tuple(found["std"]))(torch.tensor(x_test))
    np.testing.assert_array_equal(raw.numpy(), data.test_arrays()[0])
    view = (-1, *[1] * (x.ndim - 2))
    expected = (x_test - mean.reshape(view)) / std.reshape(view)
    np.testing.assert_allclose(raw.numpy(), expected, atol=1e-6)  # single precision, values to 4


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(
    ("targets", "y", "outputs"),
    [
        ("labels", (np.arange(NUMBER)[:, None] >> np.arange(3)) & 1, 3),
        ("values", np.linspace(0, 1, NUMBER), 1),
        ("classes", np.array(["ant", "bee", "cat"])[CLASSES], 3),
    ],
)
def test_targets_are_what_the_task_learns(kind: str, targets: str, y: Any, outputs: int) -> None:
    data = loaded(samples(kind), y, targets=targets)
    shape = data.training_arrays()[1].shape[1:]
    assert (data.num_outputs, len(data.class_names)) == (outputs, outputs)
    assert next(iter(data.final().train_dataloader()))[1].shape == (8, *shape)


@pytest.mark.parametrize("kind", SHAPES)
def test_values_have_the_statistics_of_the_training_set(kind: str) -> None:
    data = loaded(samples(kind), np.linspace(0, 1, NUMBER), targets="values")
    values = data.training_arrays()[1]
    mean, std = data.target_statistics
    assert (float(mean), float(std)) == pytest.approx((values.mean(), values.std()), rel=1e-5)


def test_names_are_given_to_numbered_classes() -> None:
    assert loaded(numbers(5), class_names=("ant", "bee", "cat")).class_names[1] == "bee"


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (numbers(9, 10, 3), {}, "training images of float64 must lie in [0, 1], got -"),
        (pixels(3, 9, 10).astype(int), {}, "uint8 or floats in [0, 1], got int64 from 0 to 255"),
        (pixels(9, 10) / 255, {}, "grey images (N, H, W) or signals (N, C, L); give data.kind="),
        (pixels(16, 16, 9), {}, "which axis of images (60, 16, 16, 9) holds the channels; give"),
        (pixels(3, 9, 4), {}, "axis of images (60, 3, 9, 4) holds the channels; give data.layout="),
        (pixels(3, 9, 9), {"layout": "CHW"}, "unknown data.layout 'CHW'; choose from: NCHW, NHWC"),
        (numbers(9), {"kind": "signals"}, "a table (N, features); got (60, 9) for kind=signals"),
        (numbers(), {}, "a table (N, features); got (60,) for kind=None; reshape it"),
        (np.full((NUMBER, 2), "a"), {}, "samples must be arrays of numbers, got <U1 (60, 2)"),
        (np.full((NUMBER, 2), np.nan), {}, "got nan or inf in training sample 0"),
        (numbers(9)[:50], {}, "one label per sample, got 50 samples and 60 labels"),
        (numbers(9), {"batch_size": 25}, "(25) must not exceed the 24 samples to train on"),
        (numbers(9), {"validation_share": 1.5}, "validation_share (1.5) must be in (0, 1)"),
        (
            numbers(9),
            {"test": (numbers(8), CLASSES)},
            "must have the type and the layout of the training samples, got float64 (N, 9) and",
        ),
        (
            pixels(9, 9),
            {"test": (pixels(9, 9) / 255, CLASSES)},
            "layout of the training images, got uint8 (N, 9, 9) and float64 (N, 9, 9)",
        ),
    ],
)
def test_what_is_not_certain_or_wrong_is_refused(
    x: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        loaded(x, **options)


def test_arrays_are_what_the_option_arrays_needs() -> None:
    message = "data=arrays takes arrays from Python alone: nl.search(data=(x, y))"
    with pytest.raises(ValueError, match=re.escape(message)):
        data_of_arrays(seed=0)


def test_arrays_by_name_are_parts() -> None:
    x, y = pixels(9, 10), CLASSES
    named = {"x_train": x[:40], "y_train": y[:40], "x_val": x[40:50], "y_val": y[40:50]}
    named |= {"x_test": torch.tensor(x[50:]), "y_test": torch.tensor(y[50:])}
    by_name, by_place = loaded(named, None), loaded(x[:50], y[:50], (x[50:], y[50:]))
    assert by_name.identity == by_place.identity


def test_a_data_set_of_the_library_datasets_is_read() -> None:
    datasets = pytest.importorskip("datasets")
    x = pixels(9, 10)
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee", "cat"])}
    whole = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(each) for each in x], "label": CLASSES},
        features=datasets.Features(kinds),
    )
    parts = {"train": whole.select(range(50)), "test": whole.select(range(50, NUMBER))}
    data = loaded(datasets.DatasetDict(parts), None)
    expected = loaded(x[:50], CLASSES[:50], (x[50:], CLASSES[50:]))
    assert data.class_names == ("ant", "bee", "cat")
    assert {**data.identity, "classes": ""} == {**expected.identity, "classes": ""}
    assert loaded(whole, None).split_hash == loaded(x).split_hash
