"""nas_lightning: neural architecture search on PyTorch Lightning and Hydra.

    import nas_lightning as nl
    run = nl.search(data="digits", strategy="darts")

Names are imported when they are first used. Every search space and strategy that has a YAML file
in the package's configuration is here by the name of its class, e.g. `nl.DartsSpace`, `nl.Darts`.
"""

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for editors and type checkers
    from nas_lightning.cli.python import load_genotype as load_genotype
    from nas_lightning.cli.python import search as search
    from nas_lightning.cli.python import show as show
    from nas_lightning.cli.python import train as train
    from nas_lightning.core.choices import Branch as Branch
    from nas_lightning.core.choices import Choice as Choice
    from nas_lightning.core.choices import Factor as Factor
    from nas_lightning.core.choices import Mixture as Mixture
    from nas_lightning.core.decisions import Decision as Decision
    from nas_lightning.core.genotype import Genotype as Genotype
    from nas_lightning.core.scale import Scale as Scale
    from nas_lightning.core.search_context import SearchContext as SearchContext
    from nas_lightning.core.search_space import SearchSpace as SearchSpace
    from nas_lightning.core.strategy import BlackBoxStrategy as BlackBoxStrategy
    from nas_lightning.core.strategy import OneShotStrategy as OneShotStrategy
    from nas_lightning.core.strategy import Trial as Trial
    from nas_lightning.deployment.load import load_child as load_child
    from nas_lightning.deployment.push_to_hub import push_to_hub as push_to_hub
    from nas_lightning.networks.markers import OneOf as OneOf
    from nas_lightning.networks.markers import Optional as Optional
    from nas_lightning.networks.markers import Repeat as Repeat
    from nas_lightning.run.compared import compare as compare
    from nas_lightning.training.child import ChildModule as ChildModule
    from nas_lightning.training.supernet import SupernetModule as SupernetModule

__version__ = "0.2.0"

_HOMES = {
    "cli.python": ("load_genotype", "search", "show", "train"),
    "core.choices": ("Branch", "Choice", "Factor", "Mixture"),
    "core.decisions": ("Decision",),
    "core.genotype": ("Genotype",),
    "core.scale": ("Scale",),
    "core.search_context": ("SearchContext",),
    "core.search_space": ("SearchSpace",),
    "core.strategy": ("BlackBoxStrategy", "OneShotStrategy", "Trial"),
    "deployment.load": ("load_child",),
    "deployment.push_to_hub": ("push_to_hub",),
    "networks.markers": ("OneOf", "Optional", "Repeat"),
    "run.compared": ("compare",),
    "training.child": ("ChildModule",),
    "training.supernet": ("SupernetModule",),
}
_MODULES = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_MODULES]


def _configured() -> dict[str, str]:
    """Returns the module of every search space and strategy of the configuration by its class."""
    package = Path(__file__).parent
    conf = next(c for c in (package / "conf", package.parent / "conf") if c.is_dir())
    texts = [
        p.read_text("utf-8") for g in ("search_space", "strategy") for p in (conf / g).iterdir()
    ]
    targets = re.findall(rf"^_target_: ({__name__}\S+)\.(\w+)$", "\n".join(texts), re.MULTILINE)
    return {name: module for module, name in targets}


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    modules = _MODULES if name in _MODULES else _configured()
    if name not in modules:
        names = ", ".join(sorted({*_MODULES, *_configured()}))
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has: {names}")
    return getattr(import_module(modules[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *_configured()})
