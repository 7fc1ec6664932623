"""A user's own loader as an iterable whose batches depend on a key alone."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.batches import Batch, Place
from nas_lightning.data.split import keyed_generator

__all__ = ["KeyedLoader", "TrainingLoader"]

Key = tuple[int | str, ...]


class KeyedLoader:
    """A loader's batches, on the device, the same ones whenever an epoch is repeated.

    What a loader draws from the global generators of torch, Python and NumPy, or from its own
    torch generator, depends on the key and the epoch, and does not disturb other draws.
    Every process iterates over the whole batches and takes its part of each.

    Args:
        loader: has a length, and batches (samples, targets).
        key: (seed, purpose), to which the epoch is added.
        place: of this process.
        convert: makes the targets that the task needs.
        num_batches: per epoch, the loader repeats if need be; None means the loader's own.
    """

    def __init__(
        self,
        loader: Any,
        key: Key,
        place: Place,
        convert: Callable[[Tensor], Tensor],
        num_batches: int | None = None,
    ) -> None:
        self.loader, self.key, self.place, self.convert = loader, key, place, convert
        self.num_batches = len(loader) if num_batches is None else num_batches
        self.epoch = 0

    def __len__(self) -> int:
        return self.num_batches

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch (0-based) that the next iteration gives."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        draws = _Draws((*self.key, self.epoch))  # at the first batch, after set_epoch
        drawing = [self.loader, getattr(self.loader, "sampler", None)]
        for turn in range(-(-self.num_batches // max(1, len(self.loader)))):
            for each in drawing:
                if isinstance(generator := getattr(each, "generator", None), torch.Generator):
                    generator.manual_seed(_seed((*self.key, self.epoch, turn)))
                if each is not self and hasattr(each, "set_epoch"):
                    each.set_epoch(self.epoch)
            yield from self._round(draws, self.num_batches - turn * len(self.loader))

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
        seed = _seed(key)
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


def _seed(key: Key) -> int:
    return keyed_generator(*key).initial_seed()
