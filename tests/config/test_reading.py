"""Configuration read from files: once, and with errors that name the file."""

import os

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ReadonlyConfigError

from nas_lightning.config.reading import read_config, read_settings


def test_settings_are_parsed_once_and_again_where_the_file_changed(tmp_path, monkeypatch):
    path, load, parsed = tmp_path / "hydra.yaml", OmegaConf.load, []
    monkeypatch.setattr(OmegaConf, "load", lambda each: parsed.append(each) or load(each))
    path.write_text("mode: RUN\n")
    os.utime(path, ns=(1, 1))
    assert [read_settings(path).mode for _ in range(3)] == ["RUN"] * 3
    assert len(parsed) == 1
    path.write_text("mode: MULTIRUN\n")
    assert read_settings(path).mode == "MULTIRUN"
    with pytest.raises(ReadonlyConfigError):
        read_settings(path).mode = "RUN"


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "must be YAML"), ("- 1", "keys and values, got ListConfig")]
)
def test_what_holds_no_configuration_is_named(text, message, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"config.yaml.*{message}"):
        read_config(path)
