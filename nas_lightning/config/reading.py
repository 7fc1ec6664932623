"""Configuration read from YAML files, with errors that name the file."""

from functools import lru_cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]  # of OmegaConf's parser

__all__ = ["read_config", "read_settings"]


def read_config(path: Path) -> DictConfig:
    """Returns the keys and values of a file.

    Raises: FileNotFoundError: there is no file. ValueError: it is not YAML of keys and values.
    """
    try:
        content = OmegaConf.load(path)
    except YAMLError as error:
        raise ValueError(f"{path} must be YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, DictConfig):
        raise ValueError(f"{path} must hold keys and values, got {type(content).__name__}")
    return content


def read_settings(path: Path) -> DictConfig:
    """Returns what `read_config` does, not to be changed.

    A file is parsed once, which takes long: a command asks for its run's settings in many places.
    """
    state = path.stat()
    return _settings(path.absolute(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _settings(path: Path, _written: int, _size: int) -> DictConfig:
    content = read_config(path)
    OmegaConf.set_readonly(content, True)
    return content
