"""A logger that fails is left out; the others, and the run, go on."""

import logging

import pytest
from failing_logger import METHODS, FailingLogger
from lightning.pytorch.loggers import CSVLogger
from listener import Listener

from nas_lightning.loggers.dashboard import Artifact, Dashboards, Guarded

MOMENT = {"epoch": 3}
ARTIFACT = Artifact("genotype-0", "genotype", (), {})


TOLD = [
    ("config", {"seed": 0}),
    ("metrics", {"a": 1.0, "epoch": 3}, 3),
    ("picture", "p", "<svg/>", MOMENT),
    ("summary", {"b": 2.0, "c": "word"}),
    ("artifact", ARTIFACT),
    ("end", "success"),
]


def tell(*loggers):
    """Tells loggers everything there is to tell."""
    with Dashboards([Guarded(each, "x") for each in loggers], {"seed": 0}) as dashboards:
        dashboards.log({"a": 1.0}, MOMENT)
        dashboards.log_picture("p", "<svg/>", MOMENT)
        dashboards.log_summary({"b": 2.0, "c": "word"})
        dashboards.log_artifact(ARTIFACT)
    return dashboards


def test_every_dashboard_is_told_everything():
    first, second = Listener(), Listener()
    tell(first, second)
    assert first.told == second.told == TOLD


@pytest.mark.parametrize("number", range(len(TOLD)))
def test_one_that_fails_is_told_of_once_and_hears_no_more(number, caplog):
    broken, good = Listener(TOLD[number][0]), Listener()
    with caplog.at_level(logging.WARNING):
        tell(broken, good)
    assert broken.told == TOLD[:number]
    assert good.told == TOLD
    (line,) = caplog.messages
    assert line == (
        f"logger.x failed; the run goes on without it: ConnectionError: lost at {TOLD[number][0]}"
    )


def test_the_first_cause_of_a_failure_is_told_in_one_line(caplog):
    class Wrapping(Listener):
        def log_metrics(self, metrics, step=None):
            try:
                raise OSError(28, "No space\nleft")
            except OSError as error:
                raise ValueError("cannot log this") from error

    with caplog.at_level(logging.WARNING):
        tell(Wrapping())
    assert caplog.messages[0].endswith("without it: OSError: [Errno 28] No space left")


def test_nothing_is_drawn_for_dashboards_that_all_failed():
    assert Dashboards([Guarded(Listener(), "x")]).are_watched
    assert not tell(Listener("config")).are_watched
    assert not Dashboards().are_watched


def test_a_failed_run_ends_as_one():
    listener = Listener()
    with pytest.raises(RuntimeError), Dashboards([Guarded(listener, "x")]):
        raise RuntimeError
    assert listener.told[-1] == ("end", "failed")


@pytest.mark.parametrize("method", METHODS)
def test_whatever_lightning_asks_of_a_failing_logger_is_answered(method):
    guarded = Guarded(FailingLogger(method), "x")
    assert guarded.group_separator == "/"
    for name in ("name", "version", "save_dir", "root_dir", "log_dir", "experiment"):
        assert not getattr(guarded, name)
    guarded.log_hyperparams({})
    guarded.log_metrics({"a": 1.0}, 0)
    guarded.log_graph(None)
    guarded.after_save_checkpoint(None)
    guarded.save()
    guarded.finalize("success")
    assert guarded.logger is None


def test_a_logger_that_is_no_dashboard_gets_the_numbers_of_a_summary(tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    guarded = Guarded(logger, "csv")
    guarded.log_picture("p", "<svg/>", MOMENT)
    guarded.log_artifact(ARTIFACT)
    guarded.log_summary({"b": 2, "c": "word"})
    guarded.close(is_failed=False)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["b,step", "2.0,0"]
    assert guarded.save_dir == str(tmp_path)
