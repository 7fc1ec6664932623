"""The files that tell how a search went."""

import json

import pytest
import torch
from listener import Listener

from nas_lightning.callbacks.epoch_logs import (
    AlphaLog,
    GenotypeLog,
    MetricsLog,
    TrialLog,
    csv_text,
)
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.strategy import Trial

HEADER = "epoch,group,choice,option,weight"
CHOICES, OPTIONS = 4, 8  # two cells of one node: two edges each


def test_columns_stand_in_order_of_appearance_and_gaps_are_empty():
    assert csv_text([{"a": 1, "b": 0.1}, {"a": 2, "c": 1e-20}]) == "a,b,c\n1,0.1,\n2,,1e-20\n"


def test_metrics_have_a_row_an_epoch_in_full_precision(tmp_path, trainer, module):
    log = MetricsLog(tmp_path / "metrics.csv")
    trainer.callback_metrics = {"b": torch.tensor(1 / 3, dtype=torch.float64), "a": 2}
    log.on_train_epoch_end(trainer, module)
    assert (tmp_path / "metrics.csv").read_text() == f"epoch,a,b\n0,2.0,{1 / 3!r}\n"


def test_resumed_metrics_keep_the_rows_of_the_checkpoint_alone(tmp_path, trainer, module):
    log = MetricsLog(tmp_path / "metrics.csv")
    trainer.callback_metrics = {"a": 1.0}
    log.on_train_epoch_end(trainer, module)
    state = log.state_dict()
    trainer.current_epoch = 1
    log.on_train_epoch_end(trainer, module)
    resumed = MetricsLog(tmp_path / "metrics.csv")
    resumed.load_state_dict(state)
    trainer.callback_metrics = {"a": 3.0}
    resumed.on_train_epoch_end(trainer, module)
    assert (tmp_path / "metrics.csv").read_text() == "epoch,a\n0,1.0\n1,3.0\n"


def test_loggers_are_told_the_last_epoch_of_a_resumed_training_again(tmp_path, trainer, module):
    trainer.loggers = [Listener()]
    log = MetricsLog(tmp_path / "metrics.csv")
    log.on_train_start(trainer, module)
    assert trainer.loggers[0].told == []
    log.load_state_dict({"rows": [{"epoch": 0, "a": 1.0}, {"epoch": 1, "a": 2.0}]})
    log.on_train_start(trainer, module)
    assert trainer.loggers[0].told == [("metrics", {"epoch": 1, "a": 2.0}, 1)]


def test_alphas_are_kept_from_before_the_first_epoch(tmp_path, trainer, module):
    log = AlphaLog(tmp_path / "alphas.csv")
    log.on_train_start(trainer, module)
    log.on_train_epoch_end(trainer, module)
    lines = (tmp_path / "alphas.csv").read_text().splitlines()
    assert lines[0] == HEADER
    assert lines[1].startswith("-1,normal/node_2,normal/edge_0_2,none,0.12")
    assert lines[1 + CHOICES * OPTIONS].startswith("0,normal/node_2,normal/edge_0_2,none,")
    assert len(lines) == 1 + 2 * CHOICES * OPTIONS


def test_alphas_keep_every_digit_and_leave_out_what_is_not_allowed(tmp_path, trainer, module):
    module.strategy.alpha.data.normal_(generator=torch.Generator().manual_seed(0))
    module.strategy.allowed[0, 0] = False
    AlphaLog(tmp_path / "alphas.csv").on_train_start(trainer, module)
    first, *_ = (tmp_path / "alphas.csv").read_text().splitlines()[1:]
    weight = module.strategy.scores().weights[0, 1].item()
    assert first == f"-1,normal/node_2,normal/edge_0_2,max_pool_3x3,{weight!r}"


def test_resumed_alphas_are_cut_back_to_the_checkpoint(tmp_path, trainer, module):
    path = tmp_path / "alphas.csv"
    log = AlphaLog(path)
    log.on_train_start(trainer, module)
    log.on_train_epoch_end(trainer, module)
    kept, state = path.read_text(), log.state_dict()
    log.on_train_epoch_end(trainer, module)
    with path.open("a") as file:
        file.write("1,normal/no")
    resumed = AlphaLog(path)
    resumed.load_state_dict(state)
    resumed.on_train_start(trainer, module)
    assert path.read_text() == kept


def test_alphas_begin_anew_where_there_is_no_checkpoint(tmp_path, trainer, module):
    path = tmp_path / "alphas.csv"
    path.write_text("of a run that was killed in its first epoch\n")
    AlphaLog(path).on_train_start(trainer, module)
    assert path.read_text().splitlines()[0] == HEADER


def test_genotypes_are_kept_after_every_epoch(tmp_path, trainer, module):
    trainer.current_epoch = 7
    GenotypeLog(tmp_path).on_train_epoch_end(trainer, module)
    content = json.loads((tmp_path / "epoch=007.json").read_text())
    genotype = module.space.discretize(module.strategy.scores())
    assert content["id"] == genotype.id
    assert content["provenance"] == {"epoch": 7}


@pytest.mark.parametrize("log", [AlphaLog, GenotypeLog, MetricsLog])
def test_only_the_first_process_writes(log, tmp_path, trainer, module):
    trainer.is_global_zero = False
    one = log(tmp_path / "x")
    one.on_train_start(trainer, module)
    one.on_train_epoch_end(trainer, module)
    assert list(tmp_path.iterdir()) == []


def trial(number, **measured):
    return Trial(number, Genotype("toy", ()), reward=0.5, measurements=measured)


def test_a_row_is_added_for_every_trial(tmp_path):
    log, trials = TrialLog(tmp_path / "metrics.csv"), [trial(0, loss=1.0)]
    log.write(trials)
    log.write([*trials, trial(1, loss=2.0)])
    assert log.path.read_text() == "epoch,search/reward,search/loss\n0,0.5,1.0\n1,0.5,2.0\n"


def test_a_new_column_leaves_gaps_in_the_rows_before(tmp_path):
    log, trials = TrialLog(tmp_path / "metrics.csv"), [trial(0, loss=1.0)]
    log.write(trials)
    log.write([*trials, trial(1, diverged=1.0)])
    assert log.path.read_text().splitlines()[1:] == ["0,0.5,1.0,", "1,0.5,,1.0"]


def test_what_an_interrupted_search_left_is_replaced(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch\n0\n1\n")
    TrialLog(path).write([trial(0)])
    assert path.read_text() == "epoch,search/reward\n0,0.5\n"
