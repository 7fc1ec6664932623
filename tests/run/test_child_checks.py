"""What a tested child is looked at for: answers, mistakes, latency."""

import base64
import csv
import io
import json
import re
import time
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from nas_lightning.core.scale import Scale
from nas_lightning.deployment.load import LoadedChild
from nas_lightning.run.child_checks import latency, write_answers
from nas_lightning.search_spaces.darts import DartsSpace

NAMES = ("cat", "dog")


def child_of(network, shape, targets="classes", names=NAMES, **card):
    """A loaded child whose network is the user's."""
    task = {"targets": targets, "mean": [10.0], "std": [2.0]}
    space, scale = DartsSpace(), Scale(input_shape=shape, num_outputs=len(names))
    facts = {"genotype": space.sample(0).to_json(), "scale": asdict(scale), "task": task}
    facts |= {"class_names": names, "preprocessing": card}
    return LoadedChild(network, space, facts)


def written(tmp_path, child, x, targets):
    """Returns predictions.csv and mistakes.json of a child with this test set, in two batches."""
    half = len(x) // 2
    batches = [(x[:half], targets[:half]), (x[half:], targets[half:])]
    view = SimpleNamespace(test_dataloader=lambda: batches)
    recipe = SimpleNamespace(validation_share=0.0, batch_size=None, cutout=0)
    data = SimpleNamespace(final=lambda *_: view)
    hardware = SimpleNamespace(accelerator="cpu")
    parts = SimpleNamespace(data=data, recipe=recipe, hardware=hardware)
    write_answers(SimpleNamespace(parts=parts), child, tmp_path)
    paths = tmp_path / "predictions.csv", tmp_path / "mistakes.json"
    text = paths[0].read_text() if paths[0].is_file() else None
    rows = None if text is None else list(csv.DictReader(text.splitlines()))
    return rows, json.loads(paths[1].read_text())["mistakes"] if paths[1].is_file() else None


class Says(nn.Module):
    """Outputs that the first numbers of its input are; scaled by a parameter, which is 1."""

    def __init__(self, outputs=2):
        super().__init__()
        self.outputs, self.scale = outputs, nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x.flatten(1)[:, : self.outputs] * self.scale


def test_every_test_input_has_a_row_with_its_confidence(tmp_path):
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    rows, _ = written(tmp_path, child_of(Says(), (2,)), x, torch.tensor([1, 1, 0, 0]))
    assert [(row["index"], row["true"], row["predicted"]) for row in rows] == [
        ("0", "dog", "dog"),
        ("1", "dog", "cat"),
        ("2", "cat", "cat"),
        ("3", "cat", "cat"),
    ]
    assert float(rows[1]["confidence"]) == pytest.approx(0.952574, abs=1e-6)  # 1 / (1 + e^-3)


def test_at_most_24_mistakes_are_kept_the_most_confident_first(tmp_path):
    x = torch.stack([torch.arange(60.0) / 20, torch.zeros(60)], dim=1)
    _, mistakes = written(tmp_path, child_of(Says(), (2,)), x, torch.ones(60, dtype=torch.long))
    assert [one["index"] for one in mistakes] == list(range(59, 35, -1))
    assert set(mistakes[0]) == {"index", "true", "predicted", "confidence"}  # a row has no picture


def test_a_mistaken_image_is_the_one_that_was_read(tmp_path):
    pixels = torch.randint(0, 256, (2, 3, 9, 9), generator=torch.Generator().manual_seed(0))
    x = (pixels / 255 - 0.5) / 0.25
    child = child_of(Says(), (3, 9, 9), mean=[0.5] * 3, std=[0.25] * 3)
    _, mistakes = written(tmp_path, child, x, 1 - x.flatten(1)[:, :2].argmax(1))
    image = Image.open(io.BytesIO(base64.b64decode(mistakes[0]["png"])))
    assert image.mode == "RGB"
    shown = torch.tensor(list(image.tobytes())).view(9, 9, 3).movedim(-1, 0)
    assert torch.equal(shown, pixels[mistakes[0]["index"]])


@pytest.mark.parametrize(("shape", "size"), [((1, 200, 100), (32, 64)), ((4, 8, 8), (8, 8))])
def test_a_large_image_or_one_of_many_channels_is_a_small_grey_picture(tmp_path, shape, size):
    x = torch.zeros(2, *shape)
    x.flatten(1)[:, 0] = 1.0
    _, mistakes = written(tmp_path, child_of(Says(), shape), x, torch.tensor([1, 1]))
    image = Image.open(io.BytesIO(base64.b64decode(mistakes[0]["png"])))
    assert (image.mode, image.size) == ("L", size)


def test_a_mistaken_signal_is_drawn_as_lines_of_few_points(tmp_path):
    x = torch.zeros(2, 5, 250)
    x[:, 0, 0] = 1.0
    _, mistakes = written(tmp_path, child_of(Says(), (5, 250)), x, torch.tensor([1, 1]))
    lines = mistakes[0]["lines"]
    assert [len(line) for line in lines] == [84] * 3
    assert lines[0][:2] == [1.0, 0.0]


def test_values_are_written_in_the_units_of_the_targets(tmp_path):
    child = child_of(Says(1), (2,), targets="values", names=("age",))
    x, targets = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([[12.5], [8.0]])
    rows, mistakes = written(tmp_path, child, x, targets)
    assert mistakes is None
    assert rows == [
        {"index": "0", "output": "age", "true": "12.5", "predicted": "12.0"},
        {"index": "1", "output": "age", "true": "8.0", "predicted": "8.0"},
    ]


def test_labels_have_no_single_answer(tmp_path):
    child = child_of(Says(), (2,), targets="labels")
    assert written(tmp_path, child, torch.zeros(2, 2), torch.ones(2, 2)) == (None, None)


def test_the_latency_is_a_median_of_one_thread_which_is_given_back():
    threads, seen = torch.get_num_threads(), []
    network = Says()
    network.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        figures = latency(child_of(network, (2,)))
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(threads)
    assert figures["latency_ms"] > 0
    assert re.match(r"median of 50 runs, one thread, batch of 1, \S", figures["latency_measured"])


def test_a_slow_child_is_measured_for_a_second_only(monkeypatch):
    network, clock = Says(), iter(range(1000))
    for name in ("perf_counter", "thread_time"):
        monkeypatch.setattr(time, name, lambda: next(clock) * 0.15)
    figures = latency(child_of(network, (2,)))
    assert figures["latency_measured"].startswith("median of 3 runs")
    assert figures["latency_ms"] == pytest.approx(150)
