"""TensorBoard shows what Weights & Biases shows, read back from its events."""

import json

import pytest

from nas_lightning.loggers.dashboard import RunFacts
from nas_lightning.loggers.tensorboard import TensorBoard

ALPHA = "alpha/normal/node_2/normal/edge_0_2/sep_conv_3x3"


@pytest.fixture(scope="session")
def events(shown):
    """What TensorBoard reads of the search and of the child."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for job in ("search", "child"):
        found[job] = EventAccumulator(str(shown / "tensorboard" / job))
        found[job].Reload()
    return found


def test_tensorboard_has_the_same_numbers(runs, events):
    for job in ("search", "child"):
        names = {n for row in runs[job].history for n, v in row.items() if isinstance(v, float)}
        names = {name for name in names if "/" in name}
        assert names <= set(events[job].Tags()["scalars"])
    found = {event.step: event.value for event in events["search"].Scalars(ALPHA)}
    assert found == pytest.approx(dict(runs["search"].points(ALPHA)), rel=1e-6)


def test_tensorboard_has_the_same_pictures_and_summary(events, shown):
    images = {tag for job in events.values() for tag in job.Tags()["images"]}
    assert images == {"search/alphas", "search/genotype", "child/genotype"}
    assert [event.step for event in events["search"].Images("search/alphas")] == [-1, 0, 1]
    accuracy = json.loads((shown / "result.json").read_text())["child"]["test_accuracy"]
    assert events["child"].Scalars("child/test_accuracy")[-1].value == pytest.approx(accuracy)
    assert events["search"].Scalars("search/cost/gradient_steps")[-1].value == 8


def test_a_missing_package_is_told_with_its_cure(tmp_path, monkeypatch):
    facts = RunFacts(tmp_path, "search", "a name", "a group")
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARDX_AVAILABLE", False)
    with pytest.raises(ValueError, match=r"needs the package tensorboard: pip install 'nas-"):
        TensorBoard(facts)
