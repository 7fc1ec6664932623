"""The params that children share, a supernet's: one version per trial told, and what they give.

Version v is the bank after v trials were told. A child begins with the version of the moment when
it was asked for; what it trained is merged into the newest one when its result is told. So the
versions depend on the order of asking and telling alone, not on who trains when.

A param that other children have moved since a child's version takes its change, divided by one
more than the number of these children, as if their mean were taken; one that nobody else has moved
is copied. Source: the learning rate divided by staleness of Zhang et al., Staleness-aware
Async-SGD, 2016 (arXiv:1511.05950). Deliberate differences: the change of many steps is divided
instead of one gradient's learning rate, and each param has a staleness of its own; buffers
(BatchNorm's statistics) are those of the child that was told last.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, crop, inherit
from nas_lightning.files import replacing

__all__ = ["BankFolder", "ChildWeights", "WeightBank", "check_supernet", "give_back", "merged"]

BANK, CHILD = "bank-", "given-"  # of file names, before a number
SUFFIX = ".pt"
VERSIONS_HERE = 2  # in memory, beside the files


@dataclass(frozen=True)
class WeightBank:
    """A version of a supernet's params and buffers.

    Attributes:
        params: its `state_dict`.
        moves: how many children have moved each of its params.
        cost: of the random children that trained version 0; empty for all others.
    """

    params: dict[str, Tensor]
    moves: Mapping[str, int] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ChildWeights:
    """What a trial's child gives back, and what it measured: so nothing is trained twice.

    Attributes:
        state: its params and buffers after training; empty where it diverged.
        names: of the params among them.
    """

    state: Mapping[str, Tensor]
    names: Sequence[str]
    measurements: Mapping[str, float]
    cost: Mapping[str, float]


Version = TypeVar("Version", WeightBank, ChildWeights)


class BankFolder:
    """The versions that are still needed and what children gave: files, or here without a folder.

    A file is replaced as a whole, so that a kill leaves it as it was or finished.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._here: dict[str, WeightBank | ChildWeights] = {}  # with a folder: the last versions

    @staticmethod
    def bank_name(version: int) -> str:
        """Returns the name of a version's file."""
        return f"{BANK}{version}{SUFFIX}"

    @staticmethod
    def child_name(trial: int) -> str:
        """Returns the name of the file of what a trial's child gave."""
        return f"{CHILD}{trial}{SUFFIX}"

    def has_bank(self, version: int) -> bool:
        """Returns whether there is a version."""
        return self._read(self.bank_name(version), WeightBank) is not None

    def bank(self, version: int) -> WeightBank:
        """Returns a version.

        Raises: ValueError: it is lost.
        """
        bank = self._read(self.bank_name(version), WeightBank)
        if bank is None:
            raise self.lost(f"version {version} of the shared params")
        return bank

    def child_weights(self, trial: int) -> ChildWeights | None:
        """Returns what a trial's child gave, or None if it has not yet."""
        return self._read(self.child_name(trial), ChildWeights)

    def write(self, version: int, bank: WeightBank) -> None:
        """Keeps a version."""
        self._write(self.bank_name(version), bank)

    def give(self, trial: int, child: ChildWeights) -> None:
        """Keeps what a trial's child gave."""
        self._write(self.child_name(trial), child)

    def lost(self, what: str) -> ValueError:
        """Returns the error that something is not there which the search has written."""
        return ValueError(
            f"{what} must be in {self.folder}, and is lost, or the folder belongs to another "
            "search; begin anew in a new folder"
        )

    def retain(self, names: Collection[str]) -> None:
        """Removes all but some versions and children."""
        for name in [name for name in self._here if name not in names]:
            del self._here[name]
        for path in self._files():
            if path.name not in names:
                path.unlink()

    def _files(self) -> Iterator[Path]:
        if self.folder is not None and self.folder.is_dir():
            for prefix in (BANK, CHILD):
                yield from self.folder.glob(f"{prefix}*{SUFFIX}")

    def _read(self, name: str, kind: type[Version]) -> Version | None:
        if name in self._here or self.folder is None:
            return cast("Version | None", self._here.get(name))
        if not (path := self.folder / name).is_file():
            return None
        content = kind(**torch.load(path, map_location="cpu", weights_only=True))
        self._keep(name, content)
        return content

    def _write(self, name: str, content: WeightBank | ChildWeights) -> None:
        if self.folder is not None:
            with replacing(self.folder / name) as path:
                torch.save(vars(content), path)
        self._keep(name, content)

    def _keep(self, name: str, content: WeightBank | ChildWeights) -> None:
        if self.folder is None:
            self._here[name] = content
        elif isinstance(content, WeightBank):  # what a child gave is read once
            self._here.pop(name, None)
            self._here[name] = content
            while len(self._here) > VERSIONS_HERE:
                del self._here[next(iter(self._here))]


def merged(bank: WeightBank, base: WeightBank, child: ChildWeights) -> WeightBank:
    """Returns the next version of a bank, once a child has given back what it trained from `base`.

    Where `base` is that version's own, or nobody has moved a param since, its param is the child's
    to the bit.
    """
    params, moves = dict(bank.params), dict(bank.moves)
    for name, tensor in child.state.items():
        params[name] = params[name].clone()
        part = crop(params[name], tensor.shape)
        others = moves.get(name, 0) - base.moves.get(name, 0)
        if others:
            tensor = part + (tensor - crop(base.params[name], tensor.shape)) / (1 + others)
        part.copy_(tensor)
        if name in child.names:
            moves[name] = moves.get(name, 0) + 1
    return WeightBank(params, moves)


def give_back(child: nn.Module, params: Mapping[str, Tensor]) -> None:
    """Copies a child's params and buffers into the supernet's, from which it can `inherit` them.

    `params` are those of the supernet's `state_dict`; what the child lacks stays as it is.
    """
    with torch.no_grad():
        for name, tensor in child.state_dict().items():
            crop(params[name], tensor.shape).copy_(tensor)


def check_supernet(space: SearchSpace, scale: Scale) -> None:
    """Raises ValueError where a space has no supernet of a scale, or one that fits no child."""
    cure = "use evaluation=low_fidelity or evaluation=full"
    if type(space).supernet is SearchSpace.supernet:
        raise ValueError(
            f"search space '{space.name}' has no supernet, from which evaluation=inherited takes "
            f"the params of children; {cure}"
        )
    with torch.device("meta"):  # only the shapes are looked at
        try:
            params = space.supernet(scale).state_dict()
        except ValueError as error:
            raise ValueError(f"evaluation=inherited needs a supernet: {error}; or {cure}") from None
        try:
            inherit(space.child(space.sample(Random(0)), scale), params)
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f"evaluation=inherited needs children that are parts of the supernet, and one of "
                f"search space '{space.name}' is not ({error}); {cure}"
            ) from None
