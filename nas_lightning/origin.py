"""Where a genotype comes from: the folder of a run brings the run's own search space along."""

import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

__all__ = ["with_own_space"]


def with_own_space(cfg: DictConfig, typed: Sequence[str]) -> DictConfig:
    """Returns the configuration with the search space of the run that genotype= names.

    What was typed of the space stands above it; a typed search_space=... in its place.

    Args:
        cfg: the configuration, with `genotype` and `search_space`.
        typed: the overrides that the command was started with.

    Raises:
        ValueError: the run's space holds other parts than a `Scale` and plain data.
    """
    keys = [override.lstrip("+~").partition("=")[0] for override in typed]
    kept = os.path.join(os.path.expanduser(cfg.genotype), ".hydra", "config.yaml")
    if "search_space" in keys or not os.path.isfile(kept):  # a notation may be no path at all
        return cfg
    own = OmegaConf.load(Path(kept)).get("search_space")
    if own is None:
        return cfg
    from nas_lightning.load import trusted_space

    plain = OmegaConf.to_container(own, resolve=True)
    assert isinstance(plain, dict)
    merged = cfg.copy()
    merged.search_space = trusted_space(
        {str(key): value for key, value in plain.items()}, f"the run {cfg.genotype}"
    )
    for key in (each for each in keys if each.startswith("search_space.")):
        OmegaConf.update(merged, key, OmegaConf.select(cfg, key))
    return merged
