"""Imports point one way: entries, then the building of objects, then rooms, then core."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = "nas_lightning"
ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))

# Every part of the package, and the other parts that it may import. A part is a folder (a room),
# or build, schema, paths, or the package's own __init__; every other file at the top is an entry
# or serves several of them.
ALLOWED = {
    "core": set(),
    "data": {"core"},
    "modules": {"core"},
    "reports": {"core"},
    "search_spaces": {"core"},
    "strategies": {"core"},
    "zoo": {"core"},
    "callbacks": {"core", "modules", "reports"},
    "evaluation": {"core", "modules", "data"},
    "paths": set(),
    "schema": set(),
}
ROOMS = set(ALLOWED) - {"paths", "schema"}
ALLOWED["build"] = set(ALLOWED)
ALLOWED["entry"] = {"package", *ALLOWED}
ALLOWED["package"] = {"core", "entry"}

HYDRA = {"hydra", "omegaconf"}
LIGHTNING = {"lightning", "pytorch_lightning", "torchmetrics"}
FORBIDDEN = {room: HYDRA | {"wandb"} for room in ROOMS} | {
    "callbacks": HYDRA,
    "reports": HYDRA | LIGHTNING | {"torch", "wandb"},
    "search_spaces": HYDRA | LIGHTNING | {"wandb"},
    "strategies": HYDRA | LIGHTNING | {"wandb"},
    "zoo": HYDRA | LIGHTNING | {"wandb"},
    "paths": HYDRA | {"wandb"},
    "package": HYDRA | {"wandb"},
}
KNOWN_TO_CORE = {"torch", *sys.stdlib_module_names}


def part_of(module: str) -> str:
    """Returns the part of the package that a dotted module path belongs to."""
    names = module.split(".")
    if len(names) == 1:
        return "package"
    is_known = names[1] in ALLOWED or (ROOT / PACKAGE / names[1]).is_dir()
    return names[1] if is_known else "entry"


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


def test_every_folder_of_the_package_is_a_known_room() -> None:
    folders = {path.parent.name for path in FILES if path.parent.parent == ROOT / PACKAGE}
    assert folders - ROOMS == set()


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_only_what_its_part_may(path: Path) -> None:
    assert wrong_imports(module_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("core.cell", "import numpy"),
        ("core.cell", "from lightning.pytorch import Trainer"),
        ("core.cell", "from nas_lightning.modules.task import Classification"),
        ("core.cell", "from .choices import Mixture"),
        ("core.cell", "def f():\n    import lightning as L"),
        ("search_spaces.darts", "import lightning as L"),
        ("search_spaces.darts", "from nas_lightning.strategies.darts import Darts"),
        ("strategies.darts", "from nas_lightning.search_spaces.darts import DartsSpace"),
        ("strategies.darts", "from omegaconf import DictConfig"),
        ("zoo.reader", "import torchmetrics"),
        ("modules.child", "from nas_lightning.data.module import ImageDataModule"),
        ("modules.child", "from hydra.utils import instantiate"),
        ("modules.child", "from nas_lightning import build"),
        ("data.module", "import wandb"),
        ("reports.page", "import torch"),
        ("evaluation.full", "from nas_lightning.callbacks.cost import CostTimer"),
        ("callbacks.logs", "from nas_lightning.evaluation.journal import Journal"),
        ("build", "from nas_lightning.search import main"),
        ("paths", "from nas_lightning.core.scale import Scale"),
        ("schema", "from nas_lightning import build"),
        ("search", "import wandb"),
    ],
)
def test_an_import_against_the_rules_is_found(module: str, line: str) -> None:
    assert len(wrong_imports(f"{PACKAGE}.{module}", line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("core.cell", "import torch.nn.functional as F\nfrom math import prod"),
        ("core.cell", "from nas_lightning.core.choices import Mixture"),
        ("evaluation.full", "from nas_lightning.modules.child import ChildModule"),
        ("callbacks.logs", "import wandb\nfrom nas_lightning.reports.drawing import draw"),
        ("build", "from hydra.utils import get_object\nfrom nas_lightning import schema"),
        ("search", "from nas_lightning import build, cli, train"),
    ],
)
def test_an_import_within_the_rules_is_let_pass(module: str, line: str) -> None:
    assert wrong_imports(f"{PACKAGE}.{module}", line) == []


def test_only_build_turns_a_configured_path_into_an_object() -> None:
    makers = [module_of(path) for path in FILES if "hydra.utils" in imports(path.read_text())]
    assert makers == [f"{PACKAGE}.build"]


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py" and path.parent.name != PACKAGE]
)
def test_a_room_has_an_empty_init(path: Path) -> None:
    assert path.read_text() == ""
