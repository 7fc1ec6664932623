"""Composes a command's configuration without starting the command."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from nas_lightning.config import schema
from nas_lightning.config.paths import config_dir

__all__ = ["composed", "split"]


def composed(command: str, overrides: Sequence[str]) -> DictConfig:
    """Returns the configuration of a command, with Hydra's own under "hydra".

    Args:
        command: the command's name, e.g. "search".
        overrides: what would be typed, e.g. "strategy=gdas".

    Raises:
        HydraException: an override names what is not there, or has the wrong type.
    """
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose(command, list(overrides), return_hydra_config=True)


def split(whole: DictConfig) -> tuple[DictConfig, DictConfig]:
    """Returns a command's configuration without Hydra's own, and Hydra's own alone."""
    cfg = whole.copy()
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, DictConfig({"hydra": whole.hydra})
