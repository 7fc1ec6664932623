"""What another minor version has written is refused, and what names code of others."""

import re
from importlib import invalidate_caches

import pytest
from omegaconf import OmegaConf

from nas_lightning.config import trust
from nas_lightning.config.paths import config_dir
from nas_lightning.config.sources import is_listed, list_target, module_file, sha256_of


@pytest.fixture(autouse=True)
def this(monkeypatch):
    monkeypatch.setattr(trust, "__version__", "0.2.5")


@pytest.mark.parametrize("version", ["0.2.0", "0.2.5", "0.2.9rc1"])
def test_the_same_minor_version_is_accepted(version):
    trust.check_version(version, "the run")


@pytest.mark.parametrize("version", ["0.3.0", "1.2.5", "0.20.5"])
def test_another_minor_version_is_refused_with_both_and_the_cure(version):
    minor = version.rpartition(".")[0]
    message = (
        rf"the run is of nas_lightning {version}, and this is 0\.2\.5: train again, or install the "
        rf"version that wrote it: pip install 'nas-lightning=={minor}\.\*'"
    )
    with pytest.raises(ValueError, match=message):
        trust.check_version(version, "the run")


def test_no_version_is_the_one_before_versions_were_written():
    with pytest.raises(ValueError, match=r"the run is of nas_lightning 0\.1, and this is 0\.2\.5"):
        trust.check_version(None, "the run")


SCALE = "nas_lightning.core.scale.Scale"
SPACE = "nas_lightning.search_spaces.darts.DartsSpace"
HOSTILE = {"_target_": "os.system", "command": "touch hit"}


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("search_space.ops", {"ops": HOSTILE}),
        ("search_space.scale.channels", {"scale": {"_target_": SCALE, "channels": HOSTILE}}),
        ("search_space.scale.channels.deep.0", {"scale": {"channels": {"deep": [HOSTILE]}}}),
        ("search_space.network.inner", {"network": {"inner": HOSTILE}}),
        ("search_space.ops.0", {"ops": [{"_target_": "os.system"}]}),
    ],
)
def test_what_a_file_would_call_at_any_depth_is_listed_with_the_cures(key, part):
    message = (
        f"the file names code that is not nas_lightning's own: {key}._target_=os.system; it is "
        "neither imported nor called unless you trust it: give trust=true (in Python trust=True), "
        f"or name it yourself: ++{key}._target_=os.system (in Python pass the class or object, "
        "e.g. load_child(RUN_DIR, Net))"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        trust.Trust().check({"search_space": {"_target_": SPACE, **part}}, "the file")


@pytest.mark.parametrize(
    "target",
    [
        "nas_lightning.files.os.system",  # a library that a module of ours imports
        "nas_lightning.files.write_text",  # a function of ours that no configuration names
        "nas_lightning.cli.launch.Ranks",
        "nas_lightning.data.sources.hub",  # of another group
        "nas_lightning",
        "",
        None,
        ["os.system"],
    ],
)
def test_what_our_configuration_does_not_name_in_this_group_is_code_of_others(target):
    found = trust.outside_targets({"child": {"_target_": target}})
    assert found == {"child._target_": str(target)}


@pytest.mark.parametrize(
    "text",
    [
        "${oc.create:{_target_:os.system}}",
        "${oc.decode:${child.text}}",
        "${${child.resolver}:x}",
        "a ${now:%S} b",
    ],
)
def test_an_interpolation_that_may_make_a_target_counts_as_one(text):
    assert trust.outside_targets({"child": {"lr": [text]}}) == {"child.lr.0": text}


@pytest.mark.parametrize("text", ["${..name}", "${oc.env:HOME}/x", "${hydra:runtime.cwd}", "{a}"])
def test_a_plain_interpolation_does_not(text):
    assert trust.outside_targets({"child": {"lr": text}}) == {}


@pytest.mark.parametrize("group", ["search_space", "strategy", "data", "task", "child", "hardware"])
def test_every_option_of_ours_is_ours(group):
    for path in (config_dir() / group).rglob("*.yaml"):
        assert trust.outside_targets({group: OmegaConf.load(path)}) == {}


def test_rungs_are_evaluations_of_ours_and_nothing_else():
    own = OmegaConf.load(config_dir() / "evaluation" / "inherited.yaml")
    other = OmegaConf.load(config_dir() / "strategy" / "darts.yaml")
    found = trust.outside_targets({"rungs": {"one": own, "two": other}})
    assert "rungs.two._target_" in found
    assert not any(key.startswith("rungs.one") for key in found)


def test_what_is_trusted_or_named_passes():
    node = {"data": {"_target_": "my_data.Mine"}}
    trust.Trust(is_full=True).check(node, "the file")
    trust.Trust.of(False, ["seed=1", "data._target_='my_data.Mine'"]).check(node, "the file")
    with pytest.raises(ValueError, match=r": data\._target_=my_data\.Mine; it is"):
        trust.Trust.of(False, ["data._target_=my_data.Other"]).check(node, "the file")


def test_names_of_a_search_space_alone_are_known_by_their_source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "named_net.py").write_text("raise SystemExit('it is imported')")
    file = module_file("named_net.Net")
    recorded = {"named_net.Net": sha256_of(file)}
    space = {"search_space": {"network": {"_target_": "named_net.Net"}}}
    with pytest.raises(ValueError, match="is unchanged, but nobody has searched with it here"):
        trust.Trust().check(space, "the run", recorded)
    list_target("named_net.Net", file)
    trust.Trust().check(space, "the run", recorded)
    with pytest.raises(ValueError, match=r"data\._target_=named_net\.Net"):
        trust.Trust().check({"data": {"_target_": "named_net.Net"}}, "the run", recorded)
    file.write_text("raise SystemExit('it is changed')")
    own = r"; the hash of a source covers its own file, not what that imports$"
    with pytest.raises(ValueError, match=rf"named_net\.py has changed since the run\).*{own}"):
        trust.Trust().check(space, "the run", recorded)
    file.unlink()
    invalidate_caches()
    with pytest.raises(ValueError, match="which cannot be imported from here"):
        trust.Trust().check(space, "the run", recorded)


def test_what_the_module_of_a_named_target_reaches_is_not_named_by_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "reaching_net.py").write_text("import os\n\n\nclass Net: ...\n")
    file = module_file("reaching_net.Net")
    list_target("reaching_net.Net", file)
    for target in ("reaching_net.os.system", "reaching_net.Other"):
        space = {"search_space": {"network": {"_target_": target}}}
        with pytest.raises(ValueError, match=r"is unchanged, but nobody has searched with it here"):
            trust.Trust().check(space, "the run", {target: sha256_of(file)})


def test_a_home_that_cannot_be_written_knows_nothing(tmp_path, monkeypatch):
    (tmp_path / "state").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    list_target("net.Net", tmp_path / "state")
    assert not is_listed("net.Net", tmp_path / "state")
