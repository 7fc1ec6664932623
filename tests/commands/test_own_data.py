"""A search on a user's own LightningDataModule, from the command line to its files."""

import pytest
from command import TINY, bits, result, run

OWN = tuple(option for option in TINY if not option.startswith("data."))
MODULE = "data._target_=own_data.Digits"


@pytest.fixture(scope="module")
def searched_own(tmp_path_factory):
    """The folder of a finished search."""
    folder = tmp_path_factory.mktemp("own") / "run"
    run("search", f"hydra.run.dir={folder}", *OWN, "data=own", MODULE, "+data.images=64")
    return folder


def test_a_module_of_ones_own_is_searched(searched_own):
    content = result(searched_own)
    assert (content["data"], content["data_name"]) == ("own", "Digits")
    assert content["search"]["cost"]["training_samples"] == 2 * 2 * 64
    assert 0 <= content["child"]["test_accuracy"] <= 1
    assert content["baselines"]["logistic_regression"]["test_accuracy"] > 0.5


@pytest.mark.slow
def test_a_stopped_search_goes_on_with_the_bits_of_the_whole_one(
    searched_own, tmp_path, monkeypatch
):
    from nas_lightning.callbacks.checkpoint import RunCheckpoint

    save = RunCheckpoint.on_train_epoch_end

    def stop(self, trainer, module):
        save(self, trainer, module)
        raise KeyboardInterrupt

    arguments = (f"hydra.run.dir={tmp_path}", *OWN, "data=own", MODULE, "+data.images=64")
    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoint, "on_train_epoch_end", stop)
        with pytest.raises(SystemExit):
            run("search", *arguments)
    run("search", f"resume={tmp_path}", MODULE)
    assert bits(tmp_path) == bits(searched_own)


def test_its_target_alone_says_all(tmp_path):
    run("search", f"hydra.run.dir={tmp_path}", *OWN, MODULE, "retrain=false", "strategy.epochs=1")
    assert result(tmp_path)["data_name"] == "Digits"
