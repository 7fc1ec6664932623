"""A run of Weights & Biases: mode, login, id, and its place in a sweep."""

import os
import re
from types import SimpleNamespace

import pytest
import wandb
from command import TINY, run
from wandb_log import read_run

from nas_lightning.loggers.dashboard import RunFacts
from nas_lightning.loggers.weights_and_biases import WeightsAndBiases

NEEDS_LOGIN = "logger.wandb.mode (online) needs a login: run `wandb login` or set WANDB_API_KEY"


@pytest.fixture
def facts(tmp_path):
    return RunFacts(tmp_path, "search", "a name", "a group", ("a tag",), {"seed": 0})


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An account without login or settings, whose environment is read anew."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    wandb.teardown()
    yield monkeypatch
    monkeypatch.undo()
    wandb.teardown()


def child_of(facts):
    return RunFacts(facts.folder, "child", "a name child", facts.group, source="genotype-0")


def logged(folder):
    return [read_run(each) for each in sorted((folder / "wandb").glob("offline-run-*"))]


@pytest.mark.parametrize("mode", [None, "online"])
def test_a_missing_login_is_told_before_a_run_begins(fresh, facts, mode):
    with pytest.raises(ValueError, match=re.escape(NEEDS_LOGIN)):
        WeightsAndBiases(facts, mode=mode)
    assert not (facts.folder / "wandb").exists()


def test_a_missing_login_ends_a_search_with_one_message_before_training(fresh, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run("search", f"hydra.run.dir={tmp_path}/run", "logger=wandb", *TINY)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {NEEDS_LOGIN}, or choose logger.wandb.mode=offline"
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_key_that_is_none_is_told_with_its_reason(fresh, facts):
    fresh.setenv("WANDB_API_KEY", "short")
    wandb.teardown()
    with pytest.raises(ValueError, match=r"needs a login: .*mode=offline \(.*API key"):
        WeightsAndBiases(facts)


def test_an_unknown_mode_is_refused(facts):
    with pytest.raises(
        ValueError, match=r"unknown logger.wandb.mode 'of'; choose from: online, off"
    ):
        WeightsAndBiases(facts, mode="of")


def test_a_disabled_run_leaves_no_file(fresh, facts):
    board = WeightsAndBiases(facts, mode="disabled")
    board.log_hyperparams({"seed": 0})
    board.log_metrics({"a": 1.0, "epoch": 0})
    board.close(is_failed=False)
    assert not (facts.folder / "wandb").exists()


def test_what_is_configured_goes_before_what_the_run_is_called(offline, facts, capsys):
    board = WeightsAndBiases(child_of(facts), "p", "e", None, "mine", "sizes", ("t",))
    board.log_hyperparams({})
    board.close(is_failed=True)
    assert "anonymous" not in capsys.readouterr().err
    (found,) = logged(facts.folder)
    assert (found.project, found.group, found.tags) == ("p", "sizes", ("t",))
    assert found.name == "mine child"
    assert found.exit_code == 1


def test_a_closed_run_is_closed_once(offline, facts):
    board = WeightsAndBiases(facts)
    board.log_hyperparams({})
    board.finalize("success")
    assert board.version is not None
    board.finalize("failed")
    board.close(is_failed=False)
    (found,) = logged(facts.folder)
    assert found.exit_code == 1


def test_a_run_of_a_sweeps_agent_is_the_search_and_the_child_one_beside_it(fresh, facts):
    fresh.setenv("WANDB_MODE", "offline")
    fresh.setenv("WANDB_SWEEP_ID", "swp12345")
    fresh.setenv("WANDB_RUN_ID", "run12345")
    wandb.teardown()
    for each in (facts, child_of(facts)):
        board = WeightsAndBiases(each)
        board.log_hyperparams({})
        board.close(is_failed=False)
    found = {each.job_type: each for each in logged(facts.folder)}
    search, child = found["search"], found["child"]
    assert (search.id, search.sweep) == ("run12345", "swp12345")
    assert child.id != "run12345"
    assert child.sweep == ""
    assert search.group == child.group == "sweep swp12345"


def test_a_child_uses_the_genotype_of_its_own_search_where_there_is_a_server(facts):
    (facts.folder / "wandb").mkdir()
    (facts.folder / "wandb" / "search.id").write_text("abc")
    used = []
    server = SimpleNamespace(offline=False, use_artifact=used.append)
    board = WeightsAndBiases(child_of(facts), mode="offline")
    board._use_source(server)
    assert used == ["genotype-0:abc"]
    board._use_source(SimpleNamespace(offline=True))
