"""Where a genotype comes from: a run's folder and a published name bring their search space."""

import os
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nas_lightning.config.making import plain_node
from nas_lightning.config.paths import config_dir
from nas_lightning.config.trust import trusted_space
from nas_lightning.run.folder import CONFIG, HYDRA
from nas_lightning.zoo.reader import needed_overrides

__all__ = ["with_own_space"]


def with_own_space(cfg: DictConfig, typed: Sequence[str]) -> DictConfig:
    """Returns the configuration with the search space of what genotype= names.

    Typed overrides of the space's values replace its own; a typed search_space=... replaces it.

    Raises: ValueError: the run's space holds other parts than a `Scale` and plain data.
    """
    keys = [override.lstrip("+~").partition("=")[0] for override in typed]
    own = None if "search_space" in keys else _own_space(cfg.genotype)
    if own is None:
        return cfg
    merged = cfg.copy()
    merged.search_space = own
    for key in (each for each in keys if each.startswith("search_space.")):
        OmegaConf.update(merged, key, OmegaConf.select(cfg, key))
    return merged


def _own_space(genotype: str) -> dict[str, Any] | None:
    """Returns the space of a published genotype or of a run; None where neither is named."""
    if needed := [override.split("=") for override in needed_overrides(genotype)]:
        (_, name), *values = needed
        file = OmegaConf.load(config_dir() / "search_space" / f"{name}.yaml")
        typed = OmegaConf.from_dotlist([f"{key}={value}" for key, value in values])
        space = OmegaConf.merge(file, typed.get("search_space", {}))
        return plain_node(space, "search_space")
    config = os.path.join(os.path.expanduser(genotype), HYDRA, CONFIG)
    if not os.path.isfile(config):  # a notation may be no path at all
        return None
    own = OmegaConf.select(OmegaConf.load(config), "search_space")
    if own is None:
        return None
    return trusted_space(plain_node(own, "search_space"), f"the run {genotype}")
