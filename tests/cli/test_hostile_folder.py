"""The folder of a run that others made cannot have their code imported or called."""

import shutil
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest
import torch
from command import run
from omegaconf import OmegaConf

import nas_lightning as nl
from nas_lightning.config.sources import module_file, sha256_of

MODULE = "hostile_code"
HIT = """
from pathlib import Path
HIT = Path(__file__).with_name("hit")
HIT.write_text("imported")
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace as Space
def build(*args, **kwargs):
    HIT.write_text("called")
"""
BUILD = {"_target_": f"{MODULE}.build"}
SMUGGLED = {"_target_": "nas_lightning.files.os.system", "command": "touch hit"}


class Small(nl.DartsSpace):
    """The search space of the run, as a class."""

    def __init__(self) -> None:
        super().__init__(nodes=1)


ENTRIES = {
    "nas-show": lambda folder: run("show", f"genotype={folder}", "output=null"),
    "nas-train": lambda folder: run("train", f"genotype={folder}"),
    "resume": lambda folder: run("search", f"resume={folder}"),
    "show": nl.show,
    "load_genotype": nl.load_genotype,
    "train": nl.train,
    "load_child": nl.load_child,
}


@pytest.fixture
def hostile(finished, tmp_path, monkeypatch, capsys):
    """A finished run in whose files something is changed, beside a module that tells of itself."""
    folder = tmp_path / "run"
    for part in (".hydra", "child", "genotype.json", "result.json"):
        copy = shutil.copytree if (finished / part).is_dir() else shutil.copy
        folder.mkdir(exist_ok=True)
        copy(finished / part, folder / part)
    (tmp_path / f"{MODULE}.py").write_text(HIT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    invalidate_caches()

    def change(key, value):
        config = folder / ".hydra" / "config.yaml"
        cfg = OmegaConf.load(config)
        OmegaConf.update(cfg, key, value, force_add=True)
        OmegaConf.save(cfg, config)
        content = torch.load(folder / "child" / "last.ckpt", weights_only=True)
        card = OmegaConf.create({"search_space": content["child"]["space"]})
        OmegaConf.update(card, key, value, force_add=True)
        content["child"]["space"] = OmegaConf.to_container(card.search_space)
        torch.save(content, folder / "child" / "last.ckpt")
        return folder

    yield change
    sys.modules.pop(MODULE, None)


def refusal(entry, folder, capsys):
    """Returns the message of an entry that must refuse a folder."""
    with pytest.raises((SystemExit, ValueError)) as stop:
        ENTRIES[entry](folder)
    return capsys.readouterr().err + str(stop.value)


NAMES = {
    "search_space.ops": [BUILD],
    "search_space.scale.channels": BUILD,
    "search_space._target_": f"{MODULE}.Space",
    "search_space.edge_ops": SMUGGLED,
    "search_space.nodes": "${oc.decode:'{_target_: hostile_code.build}'}",
}


def with_slow(entries, keys, fast_entry, fast_key):
    """Returns all pairs; slow are those of neither the entry nor the key."""
    return [
        pytest.param(e, k, marks=() if e == fast_entry or k == fast_key else pytest.mark.slow)
        for e in entries
        for k in keys
    ]


@pytest.mark.parametrize(
    ("entry", "key"), with_slow(ENTRIES, NAMES, "resume", "search_space._target_")
)
def test_no_entry_calls_what_a_search_space_names(entry, key, hostile, capsys):
    message = refusal(entry, hostile(key, NAMES[key]), capsys)
    assert "names code that is not nas_lightning's own: search_space." in message
    assert "give trust=true (in Python trust=True), or name it yourself: ++search_space" in message
    assert not Path("hit").exists()


GROUPS = ("data.source", "task.loss", "child.scale", "data._target_", "child.deep.er")


@pytest.mark.parametrize(
    ("entry", "key"), with_slow(("nas-train", "resume", "train"), GROUPS, "resume", "data._target_")
)
def test_no_entry_calls_what_another_group_names(entry, key, hostile, capsys):
    folder = hostile(key, BUILD["_target_"] if key.endswith("_target_") else BUILD)
    assert f"not nas_lightning's own: {key.split('._t')[0]}" in refusal(entry, folder, capsys)
    assert not Path("hit").exists()


@pytest.mark.parametrize("key", ["hardware.threads", "logger.mine", "callbacks.mine", "strategy"])
def test_a_resume_calls_nothing_of_the_other_groups(key, hostile, capsys):
    assert f"not nas_lightning's own: {key}." in refusal("resume", hostile(key, BUILD), capsys)
    assert not Path("hit").exists()


def test_a_source_with_the_recorded_hash_is_not_enough(hostile, capsys):
    folder = hostile("search_space._target_", f"{MODULE}.Space")
    digest = sha256_of(module_file(f"{MODULE}.Space") or Path(f"{MODULE}.py"))
    (folder / ".hydra" / "sources.json").write_text(f'{{"{MODULE}.Space": "{digest}"}}')
    for entry in ENTRIES:
        assert "unchanged, but nobody has searched with it here" in refusal(entry, folder, capsys)
    assert not Path("hit").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hydra:\n  callbacks:\n    x: {_target_: hostile_code.build}\n", "unknown key 'hydra'"),
        ("defaults: [{override hydra/launcher: joblib}]\n", "unknown key 'defaults'"),
        ("# @package hydra.callbacks\n", "must not hold '@package', which Hydra reads"),
    ],
)
def test_a_configuration_cannot_say_what_hydra_calls(text, message, hostile, capsys):
    folder = hostile("seed", 0)
    config = folder / ".hydra" / "config.yaml"
    config.write_text(text + config.read_text())
    assert message in refusal("resume", folder, capsys)
    assert not Path("hit").exists()


def test_nothing_of_hydras_own_file_is_called(hostile, capsys):
    folder = hostile("seed", 0)
    settings = OmegaConf.load(folder / ".hydra" / "hydra.yaml")
    factory = {"version": 1, "handlers": {"x": {"()": f"{MODULE}.build"}}}
    hydra = {"launcher": BUILD, "sweeper": BUILD, "callbacks": {"x": BUILD}}
    settings.hydra.merge_with({**hydra, "job_logging": factory, "hydra_logging": factory})
    OmegaConf.save(settings, folder / ".hydra" / "hydra.yaml")
    run("search", f"resume={folder}")
    assert "this run is complete" in capsys.readouterr().out
    assert not Path("hit").exists()


def test_what_is_named_is_imported_from_here_and_not_from_where_the_run_says_it_began(
    hostile, tmp_path, monkeypatch, capsys
):
    folder = hostile("search_space._target_", f"{MODULE}.Space")
    settings = OmegaConf.load(folder / ".hydra" / "hydra.yaml")
    settings.hydra.runtime.cwd = str(tmp_path)
    OmegaConf.save(settings, folder / ".hydra" / "hydra.yaml")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    with pytest.raises(SystemExit):
        run("search", f"resume={folder}", f"search_space._target_={MODULE}.Space")
    assert "cannot be imported: " in capsys.readouterr().err
    assert not (tmp_path / "hit").exists()


@pytest.mark.parametrize("typed", ["trust=true", f"++search_space._target_={MODULE}.Space"])
def test_what_the_user_trusts_or_names_is_called(typed, hostile, capsys):
    folder = hostile("search_space._target_", f"{MODULE}.Space")
    run("show", f"genotype={folder}", "output=null", typed)
    run("search", f"resume={folder}", typed)
    assert "genotype " in capsys.readouterr().out
    assert Path("hit").read_text() == "imported"


def test_a_child_of_code_that_is_trusted_is_loaded(hostile):
    folder = hostile("search_space._target_", f"{MODULE}.Space")
    assert nl.load_child(folder, trust=True).genotype.space == "darts"
    assert nl.show(folder, trust=True).space.name == "darts"
    assert nl.load_child(folder, Small).genotype.space == "darts"


OVERRIDES = (
    ("hydra", "hydra.callbacks.x._target_=hostile_code.build"),
    ("hydra", "hydra/launcher=theirs"),
    ("hydra", "hydra.launcher.setup=[touch hit]"),
    ("hydra", "hydra.searchpath=[file://theirs]"),
    ("hydra", "hydra.job.env_set.LD_PRELOAD=theirs.so"),
    ("task", "+hydra.callbacks.x._target_=hostile_code.build"),
    ("task", "--config-dir=theirs"),
)


def test_a_sweeps_folder_cannot_say_what_hydra_calls(call, tmp_path, capsys):
    assert call("-m", "hydra.sweep.dir=sweep", "seed=0", "hydra.sweeper.max_batch_size=1") == 0
    file = tmp_path / "sweep" / "multirun.yaml"
    began = OmegaConf.load(file)
    for group, override in OVERRIDES:
        settings = began.copy()
        settings.hydra.overrides[group].append(override)
        OmegaConf.save(settings, file)
        assert call("resume=sweep") == 1
        message = f"was started with {override}, which may call code of others; give trust=true if"
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("has_run", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_no_job_of_a_sweep_calls_what_its_folder_names(has_run, call, tmp_path, capsys):
    assert call("-m", "hydra.sweep.dir=sweep", "seed=0") == 0
    job = tmp_path / "sweep" / "0"
    (job / "result.json").unlink()
    if has_run:
        config = OmegaConf.load(job / ".hydra" / "config.yaml")
        config.strategy = BUILD
        OmegaConf.save(config, job / ".hydra" / "config.yaml")
    else:
        shutil.rmtree(job)
        settings = OmegaConf.load(tmp_path / "sweep" / "multirun.yaml")
        settings.hydra.overrides.task.append(f"strategy._target_={MODULE}.build")
        OmegaConf.save(settings, tmp_path / "sweep" / "multirun.yaml")
    capsys.readouterr()
    assert call("resume=sweep") == 1
    assert "names code that is not nas_lightning's own: strategy._target_=" in (
        capsys.readouterr().err
    )
    assert not (job / "result.json").exists()
    assert call("resume=sweep", "trust=true") == 0


def test_what_is_named_for_a_sweep_is_imported_from_here(call, tmp_path, monkeypatch, capsys):
    named = f"strategy._target_={MODULE}.build"
    assert call("-m", "hydra.sweep.dir=sweep", "seed=0", named) == 0
    shutil.rmtree(tmp_path / "sweep" / "0")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / f"{MODULE}.py").write_text(HIT)
    settings = OmegaConf.load(tmp_path / "sweep" / "multirun.yaml")
    settings.hydra.runtime.cwd = str(tmp_path / "theirs")
    OmegaConf.save(settings, tmp_path / "sweep" / "multirun.yaml")
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    assert call(f"resume={tmp_path / 'sweep'}", named) == 1
    assert f"'{MODULE}.build' cannot be imported" in capsys.readouterr().err
    assert not (tmp_path / "theirs" / "hit").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trust=true",), "trust=true has no effect: it goes with resume=RUN_DIR, fork=RUN_DIR"),
        (("resume=run", "trust=yes"), "unknown trust 'yes'; choose from: true, false"),
    ],
)
def test_trust_that_has_no_meaning_is_refused(arguments, message, call, capsys):
    assert call(*arguments) == 1
    assert f"error: {message}" in capsys.readouterr().err
