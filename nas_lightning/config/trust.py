"""What is taken from the files of a run: those of this minor version, and no code but ours."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from nas_lightning import __version__
from nas_lightning.config.making import not_in_a_file
from nas_lightning.config.paths import config_dir
from nas_lightning.config.sources import is_listed, module_file, sha256_of

__all__ = ["Trust", "check_version", "outside_targets"]

TARGET = "_target_"
GROUP_OF = {"rungs": "evaluation"}  # keys whose parts are options of a group of another name
NAMED = re.compile(rf"{TARGET} *[=:] *['\"]?([\w.]+)")
# ${key}, ${oc.env:NAME} and ${hydra:runtime.cwd} give text or a node that is looked at where it is
PLAIN_INTERPOLATION = re.compile(r"\$\{(oc\.env:|hydra:)?[\w.]*\}")


def check_version(version: str | None, what: str) -> None:
    """Refuses what another minor version of nas_lightning wrote: checkpoints hold other things.

    `version` None means 0.1, which wrote none; `what` was written, for the message.

    Raises: ValueError: major or minor version differ from this one's.

    >>> check_version("99.1.2", "the child in RUN_DIR")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: the child in RUN_DIR is of nas_lightning 99.1.2, and this is ...
    """
    version = version or "0.1"
    minor, present = (".".join(text.split(".")[:2]) for text in (version, __version__))
    if minor != present:
        raise ValueError(
            f"{what} is of nas_lightning {version}, and this is {__version__}: train again, or "
            f"install the version that wrote it: pip install 'nas-lightning=={minor}.*'"
        )


@dataclass(frozen=True)
class Trust:
    """Which targets a run's folder may have called beside those of our own configuration.

    Attributes:
        is_full: whether the user trusts the folder (trust=true): all of them.
        named: those that the user named as well, beside the folder.
    """

    is_full: bool = False
    named: frozenset[str] = frozenset()

    @classmethod
    def of(cls, is_full: bool, typed: Iterable[str]) -> "Trust":
        """Returns what was typed: trust=true, and every _target_.

        >>> Trust.of(False, ["seed=1", "++data._target_=my_data.Module"]).named
        frozenset({'my_data.Module'})
        """
        return cls(is_full, frozenset(NAMED.findall("\n".join(typed))))

    def check(self, node: Any, source: str, recorded: Mapping[str, str] | None = None) -> None:
        """Refuses a configuration from a file that would call what nobody here has named.

        Nothing is imported for it. In a search space, a target counts as named that this user has
        searched with before, if its source is the recorded one and has not changed.

        Args:
            node: groups by name, as the file holds them.
            source: the file or folder, for the message.
            recorded: the SHA-256 of the source of targets, as the run noted it.

        Raises: ValueError: there is such a target; the message lists all of them, and the cures.
        """
        if self.is_full:
            return
        recorded = recorded or {}
        strange = {
            key: target
            for key, target in outside_targets(node).items()
            if target not in self.named
            and not (key.startswith("search_space.") and _is_listed(target, recorded))
        }
        if not strange:
            return
        names = [f"{key}={strange[key]}{_changed(strange[key], recorded)}" for key in strange]
        typed = " ".join(f"++{key}={target}" for key, target in strange.items())
        is_hashed = any(target in recorded for target in strange.values())
        rest = "; the hash of a source covers its own file, not what that imports"
        raise ValueError(
            f"{source} names code that is not nas_lightning's own: {', '.join(names)}; it is "
            "neither imported nor called unless you trust it: give trust=true (in Python "
            f"trust=True), or name it yourself: {typed} (in Python pass the class or object, e.g. "
            f"load_child(RUN_DIR, Net)){rest if is_hashed else ''}"
        )


def outside_targets(groups: Any) -> dict[str, str]:
    """Returns by key what a configuration calls, at any depth, that ours does not.

    Ours is what stands as `_target_` in a file of the same group in the package's conf: not all
    that can be reached by a path that begins with nas_lightning. Interpolations that may make a
    target count as one.
    """
    plain: Any = OmegaConf.to_container(groups) if OmegaConf.is_config(groups) else groups
    found: dict[str, str] = {}
    for group, value in ((str(key), part) for key, part in plain.items()):
        found |= _outside(value, group, _own_targets(GROUP_OF.get(group, group)))
    return found


def _outside(value: Any, key: str, own: Collection[str]) -> dict[str, str]:
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    if isinstance(value, str):
        return {key: value} if "${" in PLAIN_INTERPOLATION.sub("", value) else {}
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    found: dict[str, str] = {}
    for name, part in value.items() if isinstance(value, dict) else ():
        if name != TARGET:
            found |= _outside(part, f"{key}.{name}", own)
        elif str(part) not in own:
            found[f"{key}.{name}"] = str(part)
    return found


def _own_targets(group: str) -> frozenset[str]:
    texts = [path.read_text("utf-8") for path in (config_dir() / group).rglob("*.yaml")]
    named = re.findall(rf"^[ -]*{TARGET}: (\S+)$", "\n".join(texts), re.MULTILINE)
    return frozenset({*named, f"{not_in_a_file.__module__}.{not_in_a_file.__qualname__}"})


def _is_listed(target: str, recorded: Mapping[str, str]) -> bool:
    file = module_file(target)
    is_recorded = file is not None and sha256_of(file) == recorded.get(target)
    return file is not None and is_recorded and is_listed(target, file)


def _changed(target: str, recorded: Mapping[str, str]) -> str:
    """Returns what keeps a recorded target from being used, for the message."""
    if target not in recorded:
        return ""
    if (file := module_file(target)) is None:
        return " (which cannot be imported from here)"
    if sha256_of(file) != recorded[target]:
        return f" ({file} has changed since the run)"
    return f" ({file} is unchanged, but nobody has searched with it here)"
