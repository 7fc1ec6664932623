"""Genotypes derived again from a finished search's supernet."""

import json
import shutil

import pytest
from command import TINY_CHILD, result, run, search_into
from omegaconf import OmegaConf
from representatives import rest_slow

from nas_lightning.core.genotype import Genotype
from nas_lightning.data.batches import View
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.derivation import RULES

pytestmark = pytest.mark.usefixtures("unreported")

QUICK = {"rule=rank": ["samples=4"], "rule=evolution": ["samples=4", "generations=1"]}
FEW = ("data.max_images=200", "data.batch_size=50")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of a finished search on few images, without retraining."""
    folder = tmp_path_factory.mktemp("small") / "run"
    search_into(folder, *FEW, "retrain=false")
    return folder


@pytest.fixture(scope="module")
def ranked(small, tmp_path_factory):
    """The folder of two genotypes derived from it by rank."""
    folder = tmp_path_factory.mktemp("ranked") / "run"
    typed = ("candidates=2", "rule=rank", *QUICK["rule=rank"])
    run("derive", f"hydra.run.dir={folder}", f"run={small}", *typed)
    return folder


@pytest.fixture
def derive(tmp_path, monkeypatch):
    """Runs nas-derive into a new folder, which it gives."""
    monkeypatch.chdir(tmp_path)

    def derive(*arguments):
        folder = tmp_path / f"derived_{len(list(tmp_path.iterdir()))}"
        quick = [each for argument in arguments for each in QUICK.get(argument, [])]
        run("derive", f"hydra.run.dir={folder}", "candidates=2", *quick, *arguments)
        return folder

    return derive


def candidates(folder):
    return json.loads((folder / "derived.json").read_text())["candidates"]


def refused(capsys, *arguments):
    with pytest.raises(SystemExit):
        run("derive", *arguments)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "rule", rest_slow(sorted(RULES.keys() - {"threshold"}), "argmax", "perturbation")
)
def test_every_rule_writes_candidates_of_the_space_and_tells_them(rule, small, derive, capsys):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    folder = derive(f"run={small}", f"rule={rule}")
    rows = candidates(folder)
    assert [row["file"] for row in rows] == ["candidate_1.json", "candidate_2.json"][: len(rows)]
    printed = capsys.readouterr().out
    for row in rows:
        text = (folder / row["file"]).read_text()
        genotype = DartsSpace(nodes=1).validate(Genotype.from_json(text))
        provenance = json.loads(text)["provenance"]
        assert (provenance["rule"], provenance["run"]) == (rule, str(small))
        assert genotype.id == row["genotype_id"]
        assert f"{rule}  {genotype.id}" in printed
        assert f"{row['parameters']:,}" in printed
    last = printed.splitlines()[-1]
    assert last == f"train the first: nas-train genotype={folder}/candidate_1.json"
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_the_spaces_rule_gives_what_the_search_found_with_its_accuracy(finished, derive):
    first = candidates(derive(f"run={finished}"))[0]
    content = result(finished)
    assert first["genotype_id"] == content["genotype_id"]
    found = content["search"]["discretized_validation_accuracy"]
    assert first["supernet_validation_accuracy"] == pytest.approx(found, abs=1e-6)
    assert first["parameters"] == content["child"]["parameters"]


@pytest.mark.slow
def test_a_rule_that_draws_no_samples_gives_more_candidates_than_samples(small, derive):
    assert len(candidates(derive(f"run={small}", "candidates=31", "recalibration=1"))) > 10


@pytest.mark.slow
def test_the_supernet_is_that_of_the_epoch_that_the_search_ended_with(derive, tmp_path):
    early = ("strategy.final=before_collapse", "callbacks.collapse.share=0.1")
    search_into(tmp_path / "run", *early, *FEW, "retrain=false")
    content = result(tmp_path / "run")
    assert (content["search"]["final_epoch"], content["search"]["last_epoch"]) == (0, 1)
    first = candidates(derive("run=run"))[0]
    found = content["search"]["discretized_validation_accuracy"]
    assert first["genotype_id"] == content["genotype_id"]
    assert first["supernet_validation_accuracy"] == pytest.approx(found, abs=1e-6)
    (tmp_path / "run" / "checkpoints" / "before_collapse.ckpt").unlink()
    with pytest.raises(SystemExit):
        derive("run=run")


def test_the_fittest_come_first_and_a_seed_gives_the_same_again(small, ranked, derive):
    values = [row["supernet_validation_accuracy"] for row in candidates(ranked)]
    assert values == sorted(values, reverse=True)
    assert candidates(ranked) == candidates(derive(f"run={small}", "rule=rank"))


def test_a_candidate_is_trained_with_the_parts_of_the_search(ranked, tmp_path):
    recipe = [o for o in TINY_CHILD if not o.startswith(("search_space", "child.scale"))]
    run("train", str(ranked / "candidate_2.json"), f"hydra.run.dir={tmp_path}", *recipe, *FEW)
    content = result(tmp_path)
    assert content["genotype_id"] == candidates(ranked)[1]["genotype_id"]
    assert content["child"]["parameters"] == candidates(ranked)[1]["parameters"]


@pytest.mark.slow
def test_limits_of_the_search_are_kept(derive, tmp_path):
    search_into(tmp_path / "run", "limits.parameters=1500", "retrain=false")
    for rule in ("argmax", "perturbation"):
        for row in candidates(derive("run=run", f"rule={rule}")):
            assert row["parameters"] <= 1500


@pytest.mark.slow
def test_a_threshold_leaves_edges_out_where_the_space_can(finished, derive, tmp_path, capsys):
    message = refused(capsys, f"run={finished}", "rule=threshold", f"hydra.run.dir={tmp_path}/no")
    assert "error: rule (threshold) leaves edges out, which search space 'darts' always" in message
    search_into(tmp_path / "run", "search_space.min_edges=0", "retrain=false")
    folder = derive("run=run", "rule=threshold", "threshold=1", "candidates=1")
    chosen = json.loads((folder / "candidate_1.json").read_text())["choices"]
    assert set(chosen.values()) == {"nothing"}


@pytest.mark.slow
def test_a_projected_search_has_made_its_decisions(derive, tmp_path):
    search_into(tmp_path / "run", "strategy=perturbation", "retrain=false")
    found = result(tmp_path / "run")["genotype_id"]
    assert candidates(derive("run=run", "rule=perturbation"))[0]["genotype_id"] == found


@pytest.mark.slow
def test_the_supernet_of_a_last_stage_is_restored(derive, tmp_path):
    search_into(tmp_path / "run", "strategy=p_darts", "retrain=false", "max_seconds=60")
    content = result(tmp_path / "run")["search"]
    value = candidates(derive("run=run"))[0]["supernet_validation_accuracy"]
    assert value == pytest.approx(content["discretized_validation_accuracy"], abs=1e-6)


def test_the_test_set_is_never_read(small, derive, monkeypatch):
    def read(*_):
        raise AssertionError("the test set was read")

    monkeypatch.setattr(View, "_read_test", read)
    assert candidates(derive(f"run={small}"))


def test_another_rule_is_refused_before_any_work(finished, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, f"run={finished}", "rule=perturb")
    assert message.startswith("error: unknown rule 'perturb'; choose from: space, argmax, thre")
    assert message.endswith("; did you mean 'perturbation'?\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["candidates=0"], "candidates (0) must be at least 1"),
        (["rule=rank", "samples=2"], "samples (2) must be at least 3; use e.g. 30"),
        (["rule=evolution", "generations=-1"], "generations (-1) must be at least 0"),
        (
            ["samples=3"],
            "samples=3 has no effect with rule=space; leave it out, or use rule=rank or "
            "rule=evolution",
        ),
        (
            ["rule=rank", "threshold=0.5"],
            "threshold=0.5 has no effect with rule=rank; leave it out, or use rule=threshold",
        ),
        (["recalibration=0"], "recalibration (0) must be at least 1"),
        (["hardware.devices=2"], "hardware.devices (2) must be 1: nas-derive works in one"),
    ],
)
def test_impossible_values_are_refused(arguments, message, finished, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"error: {message}" in refused(capsys, f"run={finished}", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_supernet_is_refused(finished_random, trained, tmp_path, capsys):
    cure = "name the folder of a finished nas-search with a one-shot strategy"
    for folder, message in [
        (finished_random, f"is of strategy random, which has no supernet; {cure}"),
        (trained, f"is of nas-train, which has no supernet; {cure}"),
        (tmp_path, f"holds no run; {cure}"),
    ]:
        assert f"error: run ({folder}) {message}" in refused(capsys, f"run={folder}")


def test_an_unfinished_run_and_one_without_its_checkpoint_are_refused(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run/checkpoints/last.ckpt").unlink()
    message = f"error: run ({tmp_path}/run) must have its checkpoints/last.ckpt"
    assert message in refused(capsys, f"run={tmp_path}/run")
    (tmp_path / "run/result.json").unlink()
    message = f"must be finished, and is interrupted; nas-search resume={tmp_path}/run finishes it"
    assert message in refused(capsys, f"run={tmp_path}/run")


def test_scores_that_prefer_nothing_are_refused_where_a_rule_goes_by_them(derive, tmp_path, capsys):
    more = ["strategy=random_sharing", "strategy.samples=2", "retrain=false", *FEW]
    search_into(tmp_path / "run", *more)
    message = refused(capsys, "run=run", "hydra.run.dir=refused")
    assert "error: rule (space) goes by scores, and those of strategy RandomSharing" in message
    assert candidates(derive("run=run", "rule=rank"))


def test_changed_data_are_refused(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run/.hydra/config.yaml"
    config = OmegaConf.load(path)
    config.data.max_images = 1000
    OmegaConf.save(config, path)
    assert "the data must be those of the run" in refused(capsys, "run=run")


def test_code_that_a_run_names_is_not_called(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run/.hydra/config.yaml"
    config = OmegaConf.load(path)
    config.strategy._target_ = "os.system"
    OmegaConf.save(config, path)
    message = refused(capsys, f"run={tmp_path}/run")
    assert "names code that is not nas_lightning's own: strategy._target_=os.system" in message
