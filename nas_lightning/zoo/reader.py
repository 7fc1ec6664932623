"""Reads a genotype that a user names: a file, a published name or a text notation."""

import json
import os
from importlib import resources
from pathlib import Path

from nas_lightning.core.checks import most_like
from nas_lightning.core.genotype import FORMAT, Genotype
from nas_lightning.core.search_space import SearchSpace

__all__ = ["needed_overrides", "published_names", "read_genotype"]

MAX_BYTES = 1_000_000
CURE = (  # of a file that is no genotype's
    "; name the genotype.json of a run, the run's folder, a text file with a genotype in the "
    "space's notation, or a published genotype"
)


def published_names(space: str | None = None) -> list[str]:
    """Returns the names of the published genotypes, those of one search space or all."""
    files = [f for f in resources.files("nas_lightning.zoo").iterdir() if f.name.endswith(".json")]
    return sorted(
        file.name.removesuffix(".json")
        for file in files
        if space is None or Genotype.from_json(file.read_text()).space == space
    )


def needed_overrides(name: str) -> list[str]:
    """Returns the overrides with which a command's space holds a published genotype.

    Returns:
        search_space=... first; nothing where no published genotype has the name.
    """
    if name.lower() not in published_names():
        return []
    content = json.loads(_text(name.lower()))
    overrides = content["provenance"].get("needs", [f"search_space={content['space']}"])
    return [str(override) for override in overrides]


def read_genotype(text: str, space: SearchSpace) -> Genotype:
    """Returns the genotype that a user named, checked against the search space.

    Args:
        text: the path of a genotype file, of a text file with a genotype in the space's notation
            or of a run's folder, a published name such as "darts_v2", or the notation itself.
        space: the space it has to belong to.

    Raises: ValueError: there is no such genotype, or it is not one of the space.
    """
    if text.lower() in published_names():
        return _published(text.lower(), space)
    path = Path(os.path.expanduser(text))
    if not text or not os.path.exists(path):  # also where it is too long for a path
        if set("(|{") & set(text) or (set(text) <= set("0123456789/[], \n") and text.strip()):
            return space.read_text(text)
        raise ValueError(
            f"genotype '{text}' is neither a file nor a published genotype; published of "
            f"'{space.name}' are: {', '.join(published_names(space.name)) or 'none'}"
            f"{most_like(text, published_names())}"
        )
    path = path / "genotype.json" if path.is_dir() else path
    content = ""
    try:
        content = _read(path)
        if path.suffix != ".json" and '"format"' not in content:
            return space.read_text(content)
        return space.validate(Genotype.from_json(content))
    except ValueError as error:
        is_none = path.is_file() and FORMAT not in content
        raise ValueError(f"{path}: {error}{CURE if is_none else ''}") from error
    except OSError as error:
        raise ValueError(f"{path}: {error}") from error


def _published(name: str, space: SearchSpace) -> Genotype:
    try:
        return space.validate(Genotype.from_json(_text(name)))
    except ValueError as error:
        cure = f"'{name}' needs {' '.join(needed_overrides(name))}"
        raise ValueError(f"{error}; {cure}") from error


def _text(name: str) -> str:
    return (resources.files("nas_lightning.zoo") / f"{name}.json").read_text()


def _read(path: Path) -> str:
    if not path.is_file():
        if (path.parent / ".hydra").is_dir():
            raise ValueError(
                "the search in this folder has not finished; nas-search resume=FOLDER goes on with "
                "it, or name a genotype's file"
            )
        raise ValueError("there is no such file; name a genotype's, or the folder of a search")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(
            f"a genotype file has at most {MAX_BYTES:,} bytes, got {path.stat().st_size:,}"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError("a genotype file is UTF-8 text, got other bytes") from None
    if not content.strip():
        raise ValueError("the file is empty")
    return content
