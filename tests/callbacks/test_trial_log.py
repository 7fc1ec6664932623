"""metrics.csv of a black-box search."""

from nas_lightning.callbacks.trial_log import TrialLog
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.strategy import Trial


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
