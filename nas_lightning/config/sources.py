"""The source files of what a configuration names: found, and hashed, without importing them."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from nas_lightning.files import write_text

__all__ = [
    "current_folder",
    "is_listed",
    "list_target",
    "module_file",
    "record_sources",
    "recorded_sources",
    "sha256_of",
]

RECORD = Path(".hydra") / "sources.json"  # in a run's folder
STATE = "XDG_STATE_HOME"  # where programs keep what is this user's and this machine's


def current_folder() -> str:
    """Returns the folder in which the command was typed, also where a run works in its own."""
    return str(HydraConfig.get().runtime.cwd) if HydraConfig.initialized() else os.getcwd()


def module_file(target: str) -> Path | None:
    """Returns the source file of the module of a dotted path; None if there is none.

    >>> module_file("nas_lightning.core.scale.Scale").name
    'scale.py'
    >>> module_file("no_such_module.Net")
    """
    file, path = None, list[str]()
    names = target.split(".")[:-1]
    for number in range(1, len(names) + 1):
        spec = _spec(".".join(names[:number]), path if number > 1 else None)
        if spec is None:
            break
        file, path = spec.origin, list(spec.submodule_search_locations or ())
    return Path(file).resolve() if file and file.endswith(".py") else None


def sha256_of(file: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hex digits."""
    return sha256(file.read_bytes()).hexdigest()


def record_sources(run_dir: Path, targets: Iterable[str]) -> None:
    """Notes in a run's folder the SHA-256 of the source of targets, of those that have one."""
    files = {target: file for target in sorted(targets) if (file := module_file(target))}
    if files:
        content = {target: sha256_of(file) for target, file in files.items()}
        write_text(run_dir / RECORD, json.dumps(content, indent=2) + "\n")


def recorded_sources(run_dir: Path) -> dict[str, str]:
    """Returns by target the SHA-256 that a run's folder noted of its source; else empty."""
    path = run_dir / RECORD
    content = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return {str(target): str(digest) for target, digest in content.items()}


def list_target(target: str, file: Path) -> None:
    """Notes that this user has named a target, of a file as it is now, outside any run's folder.

    The target itself is noted: what else the file's module can reach, such as its imports, is not.
    """
    if is_listed(target, file):
        return
    with suppress(OSError):  # a home that cannot be written: trust=true will be asked for
        _list().parent.mkdir(parents=True, exist_ok=True)
        with _list().open("a", encoding="utf-8") as listed:
            listed.write(f"{_line(target, file)}\n")


def is_listed(target: str, file: Path) -> bool:
    """Returns whether this user has named the target, of the file as it is now."""
    with suppress(OSError):
        return _line(target, file) in _list().read_text("utf-8").splitlines()
    return False


def _line(target: str, file: Path) -> str:
    return f"{sha256_of(file)}  {target}  {file.resolve()}"


def _list() -> Path:
    home = os.environ.get(STATE) or Path.home() / ".local" / "state"
    return Path(home) / "nas_lightning" / "named_sources.txt"


def _spec(module: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """Returns where a module lies; of one that is imported already, where that one lies."""
    if module in sys.modules:
        return sys.modules[module].__spec__
    specs = (f.find_spec(module, path, None) for f in sys.meta_path if hasattr(f, "find_spec"))
    found = next((spec for spec in specs if spec is not None), None)
    return found or (PathFinder.find_spec(module, [current_folder()]) if path is None else None)
