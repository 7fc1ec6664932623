"""The shell of each configuration is typed."""

from dataclasses import fields

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from nas_lightning.config import schema
from nas_lightning.config.paths import config_dir

SHELLS = {
    "search": schema.SearchConfig,
    "train": schema.TrainConfig,
    "show": schema.ShowConfig,
}


@pytest.fixture(params=SHELLS)
def composed(request):
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return SHELLS[request.param], compose(request.param)


def test_a_composed_configuration_is_of_its_shells_type(composed):
    shell, cfg = composed
    assert OmegaConf.get_type(cfg) is shell


def test_a_primary_file_gives_every_key_of_its_shell(composed):
    shell, cfg = composed
    assert set(cfg) == {field.name for field in fields(shell)}


def test_a_primary_file_has_the_shells_own_defaults(composed):
    shell, cfg = composed
    own = OmegaConf.to_container(OmegaConf.structured(shell))
    plain = {key: value for key, value in own.items() if value not in ("???", {})}
    found = OmegaConf.to_container(cfg)
    assert {key: found[key] for key in plain} == plain


@pytest.mark.parametrize("command", schema.SHELLS)
def test_every_key_of_a_primary_file_is_explained(command):
    lines = (config_dir() / f"{command}.yaml").read_text().split("\n\nhydra:")[0].splitlines()
    values = [
        line
        for line in lines
        if line and line[0].isalpha() and not line.endswith(":")  # groups explain themselves
    ]
    assert [line for line in values if " # " not in line] == []
    assert values


@pytest.mark.parametrize("command", ["search", "train"])
def test_impossible_limits_are_refused_with_the_configuration(command):
    overrides = ["limits.parameters=-5"] + ["genotype=darts_v2"] * (command == "train")
    cfg, _ = schema.split(schema.composed(command, overrides))
    with pytest.raises(ValueError, match=r"limits.parameters \(-5\) must be in \(0, inf\)"):
        schema.typed(cfg, command)
