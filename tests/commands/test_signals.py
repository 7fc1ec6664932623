"""Searches on the packaged signals."""

import json

import numpy as np
import pytest
from command import TINY, result, run

import nas_lightning as nl

SIGNALS = ("data=mnist1d", "data.max_images=64", *TINY, "data.batch_size=16")
CHAIN = tuple(option for option in SIGNALS if "nodes" not in option)


def test_a_search_on_signals_ends_with_a_child_that_is_loaded(tmp_path, capsys):
    run("search", f"hydra.run.dir={tmp_path}", *SIGNALS)
    assert "logistic regression" in capsys.readouterr().out
    child = nl.load_child(tmp_path)
    assert child.input_shape == (1, 40)
    (shares,) = child.predict(np.zeros((1, 40)))
    assert list(shares) == [str(digit) for digit in range(10)]


@pytest.mark.slow
def test_a_search_on_signals_resumes_to_the_same_genotype(tmp_path):
    run("search", f"hydra.run.dir={tmp_path}", *SIGNALS, "retrain=false")
    first = result(tmp_path)
    (tmp_path / "result.json").unlink()
    run("search", f"resume={tmp_path}")
    assert result(tmp_path)["genotype_id"] == first["genotype_id"]


@pytest.mark.slow
def test_a_chain_on_signals_is_searched_black_box_without_heights(tmp_path):
    options = ("search_space=chain", "strategy=random", "strategy.trials=2", "retrain=false")
    keep = [option for option in CHAIN if not option.startswith("strategy")]
    run("search", f"hydra.run.dir={tmp_path}", *options, *keep)
    chosen = json.loads((tmp_path / "genotype.json").read_text())["choices"]
    assert {option for name, option in chosen.items() if "height" in name} == {"1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["search_space=mobile"], "must be (channels, height, width); it usually comes from the"),
        (["child.cutout=4"], "cutout (4) needs images, the data have the shape (1, 40)"),
        (["data.augmentation.flip=true"], "flip (True) needs images"),
        pytest.param(
            ["strategy=random", "evaluation=low_fidelity", "evaluation.image_size=8"],
            "image_size (8) needs images",
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_takes_images_alone_is_refused(tmp_path, capsys, options, message):
    skipped = ("search_space", "strategy") if len(options) == 3 else ("search_space",)
    keep = [option for option in SIGNALS if not option.startswith(skipped)]
    with pytest.raises(SystemExit):
        run("search", f"hydra.run.dir={tmp_path}", *keep, *options)
    assert message in capsys.readouterr().err
