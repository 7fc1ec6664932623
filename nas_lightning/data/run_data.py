"""What a run asks of a data set, ours or a user's own."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from nas_lightning.data.image_store import Arrays
from nas_lightning.data.view import View

__all__ = ["RunData"]


class RunData(Protocol):
    """A data set as searches, candidates, children and baselines see it."""

    @property
    def name(self) -> str | None:
        """Its name in reports, if it has one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about it for the report."""

    @property
    def batch_size(self) -> int:
        """Images of a step, over all processes."""

    def load(self) -> None:
        """Finds every mistake before any work; idempotent."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of an image (channels, height, width)."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, labels or values, in the order of the outputs."""

    @property
    def num_outputs(self) -> int:
        """The number of classes, labels or values."""

    @property
    def split_hash(self) -> str | None:
        """What stands for the search's split of the training set, if it is known."""

    @property
    def target_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (outputs,) of the training set's values."""

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What an image must go through before a network sees it, as plain data."""

    def search(self) -> View:
        """The search's view."""

    def candidate(
        self,
        max_samples: int | None = None,
        image_size: int | Sequence[int] | None = None,
        batch_size: int | None = None,
        cutout: int = 0,
    ) -> View:
        """A black-box candidate's view."""

    def final(
        self, validation_share: float = 0.0, batch_size: int | None = None, cutout: int = 0
    ) -> View:
        """The found child's view."""

    def training_arrays(self) -> Arrays:
        """Training images (N, C, H, W), normalised float32, and their labels (N, ...)."""

    def test_arrays(self) -> Arrays:
        """All test images (M, C, H, W), normalised float32, and their labels (M, ...)."""
