"""Imports point one way: entries, then the building of objects, then rooms, then core."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = "nas_lightning"
ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))

# The rooms from the top to the bottom: a room imports those of later lines, and files.py.
FLOORS = (
    ("cli",),
    ("commands",),
    ("run",),
    ("benchmark", "deployment"),
    ("evaluation", "callbacks", "loggers", "config"),
    ("training", "search_spaces"),
    ("strategies", "networks", "reports", "zoo"),
    ("core", "data"),
)
ROOMS = {room for floor in FLOORS for room in floor}
LOOSE = {"__init__", "__main__", "files"}  # what stands beside the rooms
ALLOWED = {
    room: {"files", "package"} | {below for later in FLOORS[number + 1 :] for below in later}
    for number, floor in enumerate(FLOORS)
    for room in floor
}
ALLOWED["core"] = set()
ALLOWED["files"] = set()
ALLOWED["data"] |= {"core"}
ALLOWED["package"] = {"cli", *ALLOWED["cli"]}
# Rooms that know networks but not algorithms, or the other way round, or neither.
for room, unknown in {
    "training": {"data", "reports", "zoo"},
    "search_spaces": {"strategies", "data", "reports", "zoo"},
    "networks": {"data"},
    "strategies": {"data"},
    "reports": {"data"},
    "callbacks": {"data"},
    "loggers": {"data"},
}.items():
    ALLOWED[room] -= unknown

HYDRA = {"hydra", "omegaconf"}
LIGHTNING = {"lightning", "pytorch_lightning", "torchmetrics"}
KNOW_HYDRA = {"cli", "run", "commands", "config"}
NO_LIGHTNING = {"core", "networks", "search_spaces", "strategies", "zoo", "reports", "files"}
FORBIDDEN = {
    part: ({"wandb"} if part != "loggers" else set())
    | (set() if part in KNOW_HYDRA else HYDRA)
    | (LIGHTNING if part in NO_LIGHTNING else set())
    | ({"torch"} if part in ("reports", "files") else set())
    for part in ALLOWED
}
KNOWN_TO_CORE = {"torch", *sys.stdlib_module_names}


def part_of(module: str) -> str:
    """Returns the part of the package that a dotted module path belongs to."""
    names = module.split(".")
    return names[1] if len(names) > 1 and names[1] in ALLOWED else "package"


def module_of(path: Path) -> str:
    """Returns the dotted path of a file of the package."""
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imports(source: str) -> list[str]:
    """Returns the dotted paths that a source imports, anywhere in it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append("." * node.level + (node.module or ""))
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            found += [_part_path(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(str(node.module))
    return found


def _part_path(name: str) -> str:
    base = ROOT / PACKAGE / name
    is_module = base.is_dir() or base.with_suffix(".py").is_file()
    return f"{PACKAGE}.{name}" if is_module else PACKAGE


def wrong_imports(module: str, source: str) -> list[str]:
    """Returns what a module imports against the rules."""
    part = part_of(module)
    return [name for name in imports(source) if not _is_allowed(part, name)]


def _is_allowed(part: str, name: str) -> bool:
    top = name.split(".")[0]
    if not top:
        return False
    if top == PACKAGE:
        return part_of(name) in ALLOWED[part] | {part}
    if part == "core" and top not in KNOWN_TO_CORE:
        return False
    return top not in FORBIDDEN.get(part, {"wandb"})


def test_every_file_of_the_package_stands_in_a_room_or_is_known() -> None:
    folders = {path.parent.name for path in FILES if path.parent.parent == ROOT / PACKAGE}
    loose = {path.stem for path in FILES if path.parent == ROOT / PACKAGE}
    assert folders == ROOMS
    assert loose == LOOSE


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_only_what_its_part_may(path: Path) -> None:
    assert wrong_imports(module_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("core.cost", "import numpy"),
        ("core.cost", "from lightning.pytorch import Trainer"),
        ("core.cost", "from nas_lightning.networks.cell import Cell"),
        ("core.cost", "from .choices import Mixture"),
        ("core.cost", "def f():\n    import lightning as L"),
        ("search_spaces.darts", "import lightning as L"),
        ("search_spaces.darts", "from nas_lightning.strategies.darts import Darts"),
        ("strategies.darts", "from nas_lightning.search_spaces.darts import DartsSpace"),
        ("strategies.darts", "from nas_lightning.networks.cell import Cell"),
        ("strategies.darts", "from omegaconf import DictConfig"),
        ("zoo.reader", "import torchmetrics"),
        ("training.child", "from nas_lightning.data.module import ImageDataModule"),
        ("training.child", "from hydra.utils import instantiate"),
        ("training.child", "from nas_lightning.config.making import make"),
        ("data.module", "import wandb"),
        ("reports.page", "import torch"),
        ("evaluation.full", "from nas_lightning.callbacks.cost_timer import CostTimer"),
        ("callbacks.epoch_logs", "from nas_lightning.evaluation.journal import Journal"),
        ("config.paths", "from nas_lightning.run.run import Parts"),
        ("run.folder", "from nas_lightning.commands.search import job"),
        ("commands.search", "from nas_lightning.cli.command import run"),
        ("files", "from nas_lightning.core.scale import Scale"),
        ("commands.search", "import wandb"),
    ],
)
def test_an_import_against_the_rules_is_found(module: str, line: str) -> None:
    assert len(wrong_imports(f"{PACKAGE}.{module}", line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("core.cost", "import torch.nn.functional as F\nfrom math import prod"),
        ("core.cost", "from nas_lightning.core.choices import Mixture"),
        ("evaluation.full", "from nas_lightning.training.child import ChildModule"),
        ("loggers.search_boards", "import wandb\nfrom nas_lightning.reports.drawing import draw"),
        (
            "config.making",
            "from hydra.utils import get_object\nimport nas_lightning.config.help",
        ),
        ("commands.search", "from nas_lightning.run import outcome"),
        ("run.outcome", "from nas_lightning import __version__"),
    ],
)
def test_an_import_within_the_rules_is_let_pass(module: str, line: str) -> None:
    assert wrong_imports(f"{PACKAGE}.{module}", line) == []


def test_only_one_file_turns_a_configured_path_into_an_object() -> None:
    makers = [module_of(path) for path in FILES if "hydra.utils" in imports(path.read_text())]
    assert makers == [f"{PACKAGE}.config.making"]


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py" and path.parent.name != PACKAGE]
)
def test_a_room_has_an_empty_init(path: Path) -> None:
    assert path.read_text() == ""


def inner_imports(path: Path) -> list[tuple[int, bool]]:
    """Returns the line of every import inside a function, and whether a comment gives a reason."""
    source = path.read_text()
    lines = source.splitlines()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {
        node.lineno
        for function in ast.walk(ast.parse(source))
        if isinstance(function, functions)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return [(n, "#" in lines[n - 1] or "#" in lines[n - 2]) for n in sorted(found)]


def test_imports_inside_functions_are_few_and_have_a_reason() -> None:
    found = {path: inner_imports(path) for path in FILES}
    without = [f"{path}:{n}" for path, each in found.items() for n, reason in each if not reason]
    assert without == []
    assert sum(map(len, found.values())) <= 25


def test_no_module_imports_itself_through_others() -> None:
    names = {module_of(path) for path in FILES}
    graph = {module_of(path): names & set(imports_of_modules(path)) for path in FILES}
    while free := {name for name, used in graph.items() if not used & graph.keys()}:
        graph = {name: used for name, used in graph.items() if name not in free}
    assert graph == {}


def imports_of_modules(path: Path) -> list[str]:
    """Returns the modules that a file imports from, and those that it imports by name."""
    found = imports(path.read_text())
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name != PACKAGE]
