"""Fixtures that spare all tests what Hydra and Lightning would do again with the same result.

Processes that tests start do all of it.
"""

import sys
from copy import copy, deepcopy
from functools import cache
from pathlib import Path

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.defaults_list import Overrides
from hydra._internal.hydra import Hydra
from hydra.core.utils import JobRuntime
from hydra.types import RunMode

from nas_lightning.config.paths import config_dir

__all__ = ["composed_for_both", "composed_once", "merged_once", "read_once", "scanned_once"]

MODES = ("hydra.mode=", "hydra.searchpath=", "experiment=")  # what may name a mode
RUN = "hydra.mode=RUN"  # what Hydra adds to what was typed
ANEW = ("hydra.searchpath=", "hydra.job.")  # of files that may change; of the name set below


def replaced(owner, name, value):
    """Yields once; meanwhile an attribute has another value."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, value)
        yield


@pytest.fixture(autouse=True, scope="session")
def composed_once():
    """Spares Hydra to compose a configuration only to read hydra.mode, which none here sets.

    Where an override may set it, and in processes that tests start, Hydra reads it as ever.
    """
    read = Hydra.get_mode

    def get_mode(self, config_name, overrides):
        may_set = any(each.lstrip("+").startswith(MODES) for each in overrides)
        return read(self, config_name, overrides) if may_set else None

    yield from replaced(Hydra, "get_mode", get_mode)


@pytest.fixture(autouse=True, scope="session")
def composed_for_both():
    """Lets a command run on the configuration that it has just composed to know its folder."""
    load, last = ConfigLoaderImpl.load_configuration, {}

    def load_configuration(self, config_name, overrides, run_mode, **more):
        runs = RUN in overrides[-1:]
        typed = tuple(overrides[:-1] if runs else overrides)
        key = (typed, config_name, run_mode, Path.cwd(), str(self.config_search_path))
        prepared = last.pop(key, None) if runs else None
        last.clear()
        if prepared is None:
            cfg = load(self, config_name, overrides, run_mode, **more)
            if not runs and not any(each.lstrip("+").startswith(ANEW) for each in typed):
                last[key] = deepcopy(cfg)
            return cfg
        prepared.hydra.mode = RunMode.RUN
        prepared.hydra.overrides.hydra.append(RUN)
        prepared.hydra.job.name = JobRuntime().get("name")
        return prepared

    yield from replaced(ConfigLoaderImpl, "load_configuration", load_configuration)


def reads_ours_alone(sources):
    return {source.path for source in sources} == {"hydra.conf", str(config_dir()), ""}


@pytest.fixture(autouse=True, scope="session")
def read_once():
    """Lets Hydra read its own files and ours once; where there are others too, each time."""
    load, results = ConfigRepository.load_config, {}

    def load_config(self, config_path):
        if not reads_ours_alone(self.sources):
            return load(self, config_path)
        if config_path not in results:
            results[config_path] = load(self, config_path)
        return deepcopy(results[config_path])

    yield from replaced(ConfigRepository, "load_config", load_config)


@pytest.fixture(autouse=True, scope="session")
def merged_once():
    """Lets Hydra merge the same options of groups once; what else was typed it adds each time."""
    build, trees = config_loader_impl.create_defaults_list, {}
    merge, merged = ConfigLoaderImpl._compose_config_from_defaults_list, {}

    def create_defaults_list(repo, config_name, overrides_list, prepend_hydra, skip_missing):
        options = config_name, overrides_list, prepend_hydra, skip_missing
        if not reads_ours_alone(repo.get_sources()):
            return build(repo, *options)
        typed = Overrides(repo, overrides_list)
        groups = typed.override_choices, typed.append_group_defaults, typed.deletions
        key = repr((config_name, prepend_hydra, skip_missing, groups))
        if key not in trees:
            trees[key] = build(repo, *options)
        result = copy(trees[key])
        result.config_overrides = typed.config_overrides
        return result

    def compose(self, defaults, repo):
        if not reads_ours_alone(repo.get_sources()):
            return merge(self, defaults, repo)
        key = tuple((each.config_path, each.package, each.primary) for each in defaults)
        if key not in merged:
            merged[key] = merge(self, defaults, repo)
        return deepcopy(merged[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_loader_impl, "create_defaults_list", create_defaults_list)
        patch.setattr(ConfigLoaderImpl, merge.__name__, compose)
        yield


@pytest.fixture(autouse=True, scope="session")
def scanned_once():
    """Lets Lightning, where tests import it, look for callbacks of other packages once.

    It looks for them per Trainer, which takes nine tenths of the time of making one.
    """
    registry = sys.modules.get("lightning.fabric.utilities.registry")
    if registry is None:
        yield
    else:
        yield from replaced(registry, "entry_points", cache(registry.entry_points))
