from pathlib import Path

import pytest

from nas_lightning.reports.records import TrialRecord, read_alphas, read_metrics, read_trials, thin


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_files_that_are_not_there_give_empty_tables(tmp_path: Path) -> None:
    assert read_alphas(tmp_path / "alphas.csv") == ()
    assert read_metrics(tmp_path / "metrics.csv") == {}
    assert read_trials(tmp_path / "trials.jsonl") == ()


def test_alphas_are_curves_over_the_epochs_done(tmp_path: Path) -> None:
    text = "epoch,group,choice,option,weight\n-1,n,c,skip,0.5\n0,n,c,skip,0.75\n0,n,c,conv,nan\n"
    (curve,) = read_alphas(_write(tmp_path / "alphas.csv", text))
    assert (curve.group, curve.choice, curve.option) == ("n", "c", "skip")
    assert curve.points == ((0, 0.5), (1, 0.75))


def test_metrics_leave_out_gaps_and_what_is_not_finite(tmp_path: Path) -> None:
    text = "epoch,step,search/loss,search/accuracy\n0,5,2.5,\n1,9,nan,0.5\n"
    metrics = read_metrics(_write(tmp_path / "metrics.csv", text))
    assert metrics == {"search/loss": ((1, 2.5),), "search/accuracy": ((2, 0.5),)}


def test_trials_are_what_was_told(tmp_path: Path) -> None:
    text = (
        '{"event": "asked", "trial": 0, "genotype_id": "ab"}\n'
        '{"event": "told", "trial": 0, "genotype_id": "ab", "validation_accuracy": 0.5}\n'
        '{"event": "told", "trial": 1, "genotype_id": "cd", "validation_accuracy": null}\n'
        '{"event": "told", "tri'
    )
    assert read_trials(_write(tmp_path / "trials.jsonl", text)) == (
        TrialRecord(0, "ab", {"validation_accuracy": 0.5}),
        TrialRecord(1, "cd", {}),
    )


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"alphas.csv must have the columns .* weight missing"):
        read_alphas(_write(tmp_path / "alphas.csv", "epoch,group,choice,option\n"))


def test_a_value_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"metrics.csv, line 3: 'loss' must be a number, got 'x'"):
        read_metrics(_write(tmp_path / "metrics.csv", "epoch,loss\n0,1\n1,x\n"))


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"trials.jsonl, line 1 must be .*, got '\[1\]'"):
        read_trials(_write(tmp_path / "trials.jsonl", "[1]\n"))


def test_thinning_keeps_the_ends() -> None:
    points = tuple((float(i), float(i)) for i in range(100))
    assert [x for x, _ in thin(points, 4)] == [0, 33, 66, 99]
