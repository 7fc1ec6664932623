"""Contracts of the configuration files; a new file is tested without a new test."""

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import OmegaConf

from nas_lightning.config import schema
from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.search_space import SearchSpace

CONF = config_dir()
PRIMARIES = sorted(CONF.glob("*.yaml"))
SWEEPS = CONF / "sweep"  # definitions for Weights & Biases, no group
GROUPED = sorted(path for path in CONF.glob("*/*.yaml") if path.parent != SWEEPS)
BASES = [path for path in GROUPED if path.stem[0] == "_"]  # what several leaves are composed of
LEAVES = [path for path in GROUPED if path not in BASES]

# Given while a run is built, by no configuration: the search space, the run's seed, what children
# are trained on and with, the task, the kind of its targets, what loggers are told of the run, the
# children in flight, and arrays from Python.
RUNTIME = {"space", "seed", "run", "objective", "data_name", "task", "targets", "facts"}
RUNTIME |= {"num_in_flight", "x", "y", "test"}

Node = dict[str, Any]


def name_of(path: Path) -> str:
    """Returns a file's path within the configuration, without its ending."""
    return path.relative_to(CONF).with_suffix("").as_posix()


@cache
def read(path: Path) -> Node:
    """Returns the content of a file over its bases', interpolations as they are written."""
    node = OmegaConf.load(path)
    named = [name for name in node.get("defaults", ()) if isinstance(name, str)]
    if bases := [base for base in BASES if base.parent == path.parent and base.stem in named]:
        del node["defaults"]
    content = OmegaConf.to_container(OmegaConf.merge(*map(read, bases), node), resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def targets(node: Node, where: str = "") -> Iterator[tuple[str, Node]]:
    """Yields every node with a `_target_` and its path in the file, nested ones too."""
    if "_target_" in node:
        yield where, node
    for key, value in node.items():
        if isinstance(value, dict):
            yield from targets(value, f"{where}.{key}".strip("."))


def outermost(node: Node) -> list[Node]:
    """Returns the nodes with a `_target_` that lie in no other one."""
    if "_target_" in node:
        return [node]
    values = [value for value in node.values() if isinstance(value, dict)]
    return [found for value in values for found in outermost(value)]


def parameters(node: Node) -> dict[str, inspect.Parameter]:
    """Returns what a node's target takes, run-time arguments left out."""
    found = inspect.signature(get_object(node["_target_"])).parameters
    return {
        name: parameter
        for name, parameter in found.items()
        if name not in RUNTIME and parameter.kind is not parameter.VAR_KEYWORD
    }


def arguments(node: Node) -> Node:
    """Returns what a node gives to its target."""
    return {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}


def misfits(node: Node) -> list[str]:
    """Returns the arguments that a node lacks or has too many.

    A partial node is completed by the object that gets it, so it may leave arguments out.
    """
    given, known = set(arguments(node)), set(parameters(node))
    lacking = set() if node.get("_partial_") else known - given
    return [f"lacks {name}" for name in sorted(lacking)] + [
        f"has unknown {name}" for name in sorted(given - known)
    ]


def differences(node: Node, default: object = None) -> list[str]:
    """Returns where the values of a node differ from the defaults.

    Args:
        node: a node with a `_target_`.
        default: the object that the outer constructor takes for the node, whose attributes then
            are the defaults; None compares with the parameters' own.
    """
    found = []
    for name, value in arguments(node).items():
        own = parameters(node)[name].default
        wanted = own if default is None else getattr(default, name)
        if isinstance(value, dict) and ("_target_" in value or isinstance(wanted, Mapping)):
            found += _nested_differences(name, value, wanted)
        elif wanted is not inspect.Parameter.empty and plain(value) != plain(wanted):
            found.append(f"{name}: {value!r}, not {wanted!r}")
    return found


def _nested_differences(name: str, node: Node, default: object) -> list[str]:
    """Without an object of the node's class as default, a nested node is a recipe of its own.

    A partial node is compared with the function and the arguments of a partial default, a node
    without a target with the default mapping, part by part.
    """
    if "_target_" not in node and isinstance(default, Mapping):
        return [
            line
            for key in {**node, **default}
            for line in _nested_differences(f"{name}.{key}", node.get(key, {}), default.get(key))
        ]
    if node.get("_partial_") and default is not inspect.Parameter.empty:
        function, values = getattr(default, "func", default), getattr(default, "keywords", {})
        own = {"_target_": get_object(node["_target_"]), **arguments(node)}
        return [] if own == {"_target_": function, **values} else [f"{name}: {node}"]
    target = get_object(node["_target_"])
    if not (isinstance(target, type) and isinstance(default, target)):
        return []
    return [f"{name}.{line}" for line in differences(node, default)]


def plain(value: object) -> object:
    """Returns a value with lists for tuples."""
    return list(value) if isinstance(value, tuple) else value


def chosen_options(primary: str) -> dict[str, str]:
    """Returns the option of each group that a command takes when nothing is typed."""
    defaults = read(CONF / f"{primary}.yaml")["defaults"]
    entries = [entry for entry in defaults if isinstance(entry, dict)]
    return {group: option for entry in entries for group, option in entry.items()}


def families() -> list[tuple[str, str]]:
    """Returns every pair of a group and a target that its files have at their outside."""
    found = {(p.parent.name, n["_target_"]) for p in LEAVES for n in outermost(read(p))}
    return sorted(found)


@pytest.fixture(scope="module")
def hydra_of_the_package() -> Iterator[None]:
    schema.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.mark.parametrize("path", [*PRIMARIES, *GROUPED], ids=name_of)
def test_a_file_begins_with_a_line_that_says_what_it_is(path: Path) -> None:
    text = re.sub(r"\A# @package \S+\n", "", path.read_text())
    assert re.match(r"# \S.{10,}\n", text)


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_a_leaf_lists_the_arguments_of_its_constructors(path: Path) -> None:
    found = [f"{where}: {line}" for where, node in targets(read(path)) for line in misfits(node)]
    assert found == []


@pytest.mark.parametrize(("group", "target"), families())
def test_a_leaf_has_the_defaults_of_its_constructor(group: str, target: str) -> None:
    """Recipes of one class may differ: the one chosen by default, or else one of them, must not."""
    found = {
        path.stem: [line for node in nodes for line in differences(node)]
        for path in LEAVES
        if path.parent.name == group
        and (nodes := [n for n in outermost(read(path)) if n["_target_"] == target])
    }
    chosen = chosen_options("search").get(group)
    judged = [found[chosen]] if chosen in found else list(found.values())
    assert min(judged, key=len) == []


def rounds() -> list[list[str]]:
    """Returns all options but recipes, no two of a group together."""
    groups: dict[str, list[str]] = {}
    for path in LEAVES:
        if path.parent.name != "experiment":
            groups.setdefault(path.parent.name, []).append(f"{path.parent.name}={path.stem}")
    return [[option for option in options if option] for options in zip_longest(*groups.values())]


@pytest.mark.parametrize("options", rounds(), ids=" ".join)
def test_options_can_be_composed(hydra_of_the_package: None, options: list[str]) -> None:
    cfg = compose("search", options)
    assert OmegaConf.missing_keys(cfg) == set()


@pytest.mark.parametrize("path", sorted(CONF.glob("experiment/*/*.yaml")), ids=name_of)
def test_a_recipe_of_the_literature_can_be_composed(hydra_of_the_package: None, path: Path) -> None:
    """What looks children up is for nas-benchmark, everything else for nas-search."""
    primary = "benchmark" if "/evaluation: tabular" in path.read_text() else "search"
    cfg = compose(primary, [f"experiment={path.parent.name}/{path.stem}"])
    assert OmegaConf.missing_keys(cfg) == set()


@pytest.mark.parametrize("path", sorted(CONF.glob("experiment/*.yaml")), ids=name_of)
def test_the_parts_of_a_recipe_fit_each_other(hydra_of_the_package: None, path: Path) -> None:
    cfg = compose("search", [f"experiment={path.stem}"])
    assert OmegaConf.missing_keys(cfg) == set()
    space = make(cfg.search_space, "search_space", kind=SearchSpace)
    strategy = make(cfg.strategy, "strategy", space=space, seed=0)
    make(cfg.data, "data", seed=0)
    child = make(cfg.child, "child")
    length = "epochs" if "epochs" in cfg.strategy else "trials"
    assert getattr(strategy, length) == cfg.strategy[length]
    assert child.epochs == cfg.child.epochs


@pytest.mark.parametrize("primary", [path.stem for path in PRIMARIES])
def test_a_command_can_be_composed(hydra_of_the_package: None, primary: str) -> None:
    assert OmegaConf.missing_keys(compose(primary)) <= {"genotype", "run", "what"}


def test_a_lacking_and_an_unknown_argument_are_found() -> None:
    node = {"_target_": "nas_lightning.core.optimizers.Adam", "lr": 1.0, "speed": 2}
    found = misfits(node)
    assert found == ["lacks betas", "lacks eps", "lacks weight_decay", "has unknown speed"]


def test_a_nested_value_is_compared_with_the_outer_default() -> None:
    adam = {"_target_": "nas_lightning.core.optimizers.Adam", "lr": -1.0}
    node = {"_target_": "nas_lightning.strategies.darts.Darts", "alpha_optimizer": adam}
    default = inspect.signature(get_object(node["_target_"])).parameters["alpha_optimizer"].default
    assert differences(node) == [f"alpha_optimizer.lr: -1.0, not {default.lr!r}"]


def test_the_readme_names_every_data_set_and_strategy() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text()
    options = [path.stem for group in ("data", "strategy") for path in (CONF / group).glob("[!_]*")]
    assert [option for option in options if f"`{option}`" not in text] == []
