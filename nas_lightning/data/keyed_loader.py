"""A user's own loader as an iterable whose batches depend on a key alone."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.batches import Batch, EpochBatches, Place
from nas_lightning.data.split import keyed_generator

__all__ = ["KeyedLoader", "TrainingLoader"]

Key = tuple[int | str, ...]


@dataclass(eq=False)
class KeyedLoader(EpochBatches):
    """A loader's batches, on the device, the same ones whenever an epoch is repeated.

    What a loader draws from the global generators of torch, Python and NumPy, or from its own
    torch generator, depends on the key and the epoch, and does not disturb other draws. Every
    process iterates over the whole batches and takes its part of each.
    """

    loader: Any  # has a length, and batches (samples, targets)
    key: Key  # (seed, purpose), to which the epoch is added
    place: Place
    convert: Callable[[Tensor], Tensor]  # makes the targets that the task needs
    num_batches: int | None = None  # per epoch, the loader repeats if need be; None means its own

    def __len__(self) -> int:
        return len(self.loader) if self.num_batches is None else self.num_batches

    def __iter__(self) -> Iterator[Batch]:
        draws = _Draws((*self.key, self.epoch))  # at the first batch, after set_epoch
        drawing = [self.loader, getattr(self.loader, "sampler", None)]
        for turn in range(-(-len(self) // max(1, len(self.loader)))):
            for each in drawing:
                if isinstance(generator := getattr(each, "generator", None), torch.Generator):
                    seed = keyed_generator(*self.key, self.epoch, turn).initial_seed()
                    generator.manual_seed(seed)
                if each is not self and hasattr(each, "set_epoch"):
                    each.set_epoch(self.epoch)
            yield from self._round(draws, len(self) - turn * len(self.loader))

    def _round(self, draws: "_Draws", most: int) -> Iterator[Batch]:
        with draws.apart():
            batches = iter(self.loader)
        for _ in range(min(most, len(self.loader))):
            with draws.apart():
                samples, targets = next(batches)
            x, y = self._part(samples), self._part(self.convert(targets))
            yield x.to(self.place.device), y.to(self.place.device)

    def _part(self, whole: Tensor) -> Tensor:
        """Returns this process's part of a batch; the parts together are the batch."""
        return whole.tensor_split(self.place.world)[self.place.rank]


class TrainingLoader(KeyedLoader):
    """A keyed loader to train on, with parts of equal size."""

    @property
    def sampler(self) -> "TrainingLoader":
        """Itself: Lightning calls set_epoch of a loader's sampler."""
        return self

    def _part(self, whole: Tensor) -> Tensor:
        """Returns an equal part, a rest is dropped; all of a batch that is too small."""
        size = len(whole) // self.place.world
        return whole[self.place.rank * size :][:size] if size else whole


class _Draws:
    """A state of the global generators, apart from all other draws, that depends on a key."""

    def __init__(self, key: Key) -> None:
        seed = keyed_generator(*key).initial_seed()
        self.states = (
            torch.Generator().manual_seed(seed).get_state(),
            random.Random(seed).getstate(),
            np.random.RandomState(seed % 2**32).get_state(),
        )

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within, the global generators continue from this state; then they are as before."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        present = torch.get_rng_state(), random.getstate(), np.random.get_state()
        torch.set_rng_state(self.states[0])
        random.setstate(self.states[1])
        np.random.set_state(self.states[2])
        self.states = present
