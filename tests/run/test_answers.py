"""What a child answers in its test is written by input, with its worst mistakes."""

import base64
import csv
import io
import json
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from nas_lightning.run.answers import AnswerLog

CLASSES = {"targets": "classes"}


def log_of(folder, card=CLASSES, names=("cat", "dog"), **preprocessing):
    return AnswerLog(folder, SimpleNamespace(card=lambda: card), names, preprocessing)


def answer(log, trainer, batches):
    """Shows a log a test whose outputs are the first numbers of the inputs."""
    log.on_test_start(trainer, None)
    for number, (x, targets) in enumerate(batches):
        outputs = x.flatten(1)[:, : len(log.class_names)]
        log.on_test_batch_end(trainer, None, outputs, (x, targets), number)
    log.on_test_end(trainer, None)


def read(folder):
    """Returns predictions.csv and mistakes.json; None of one that is not there."""
    paths = folder / "predictions.csv", folder / "mistakes.json"
    text = paths[0].read_text() if paths[0].is_file() else None
    rows = None if text is None else list(csv.DictReader(text.splitlines()))
    return rows, json.loads(paths[1].read_text())["mistakes"] if paths[1].is_file() else None


def written(folder, x, targets, *arguments, **preprocessing):
    """Returns what a log writes of a test set in two batches."""
    half = len(x) // 2
    batches = [(x[:half], targets[:half]), (x[half:], targets[half:])]
    trainer = SimpleNamespace(world_size=1, is_global_zero=True)
    answer(log_of(folder, *arguments, **preprocessing), trainer, batches)
    return read(folder)


def test_every_test_input_has_a_row_with_its_confidence(tmp_path):
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    rows, _ = written(tmp_path, x, torch.tensor([1, 1, 0, 0]))
    assert [(row["index"], row["true"], row["predicted"]) for row in rows] == [
        ("0", "dog", "dog"),
        ("1", "dog", "cat"),
        ("2", "cat", "cat"),
        ("3", "cat", "cat"),
    ]
    assert float(rows[1]["confidence"]) == pytest.approx(0.952574, abs=1e-6)  # 1 / (1 + e^-3)


def test_at_most_24_mistakes_are_kept_the_most_confident_first(tmp_path):
    x = torch.stack([torch.arange(60.0) / 20, torch.zeros(60)], dim=1)
    _, mistakes = written(tmp_path, x, torch.ones(60, dtype=torch.long))
    assert [one["index"] for one in mistakes] == list(range(59, 35, -1))
    assert set(mistakes[0]) == {"index", "true", "predicted", "confidence"}  # a row has no picture


def test_a_mistaken_image_is_the_one_that_was_read(tmp_path):
    pixels = torch.randint(0, 256, (2, 3, 9, 9), generator=torch.Generator().manual_seed(0))
    x = (pixels / 255 - 0.5) / 0.25
    targets = 1 - x.flatten(1)[:, :2].argmax(1)
    _, mistakes = written(tmp_path, x, targets, mean=[0.5] * 3, std=[0.25] * 3)
    image = Image.open(io.BytesIO(base64.b64decode(mistakes[0]["png"])))
    assert image.mode == "RGB"
    shown = torch.tensor(list(image.tobytes())).view(9, 9, 3).movedim(-1, 0)
    assert torch.equal(shown, pixels[mistakes[0]["index"]])


@pytest.mark.parametrize(("shape", "size"), [((1, 200, 100), (32, 64)), ((4, 8, 8), (8, 8))])
def test_a_large_image_or_one_of_many_channels_is_a_small_grey_picture(tmp_path, shape, size):
    x = torch.zeros(2, *shape)
    x.flatten(1)[:, 0] = 1.0
    _, mistakes = written(tmp_path, x, torch.tensor([1, 1]))
    image = Image.open(io.BytesIO(base64.b64decode(mistakes[0]["png"])))
    assert (image.mode, image.size) == ("L", size)


def test_a_mistaken_signal_is_drawn_as_lines_of_few_points(tmp_path):
    x = torch.zeros(2, 5, 250)
    x[:, 0, 0] = 1.0
    _, mistakes = written(tmp_path, x, torch.tensor([1, 1]))
    lines = mistakes[0]["lines"]
    assert [len(line) for line in lines] == [84] * 3
    assert lines[0][:2] == [1.0, 0.0]


def test_values_are_written_in_the_units_of_the_targets(tmp_path):
    card = {"targets": "values", "mean": [10.0], "std": [2.0]}
    x, targets = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([[12.5], [8.0]])
    rows, mistakes = written(tmp_path, x, targets, card, ("age",))
    assert mistakes is None
    assert rows == [
        {"index": "0", "output": "age", "true": "12.5", "predicted": "12.0"},
        {"index": "1", "output": "age", "true": "8.0", "predicted": "8.0"},
    ]


def test_labels_have_no_single_answer(tmp_path):
    x = torch.zeros(2, 2)
    assert written(tmp_path, x, torch.ones(2, 2), {"targets": "labels"}) == (None, None)


def test_the_answers_of_several_processes_are_those_of_one(tmp_path, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    x, targets = torch.randn(101, 2, generator=draw), torch.randint(0, 2, (101,), generator=draw)
    batches = [(x[:50], targets[:50]), (x[50:], targets[50:])]
    parts = [[(a.tensor_split(2)[r], b.tensor_split(2)[r]) for a, b in batches] for r in (0, 1)]
    other, shared = log_of(tmp_path / "other"), []

    def gather(into, mine):
        shared.append(mine)
        into[:] = [mine, shared[0]]

    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    answer(other, SimpleNamespace(world_size=2, is_global_zero=False), parts[1])
    answer(log_of(tmp_path / "two"), SimpleNamespace(world_size=2, is_global_zero=True), parts[0])
    assert not (tmp_path / "other").exists()
    assert read(tmp_path / "two") == written(tmp_path / "one", x, targets)
