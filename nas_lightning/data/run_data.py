"""A data set as searches, candidates, children and baselines see it: ours or a user's own."""

from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.user_data import UserData

__all__ = ["RunData", "as_run_data"]

RunData = ImageDataModule | UserData


def as_run_data(data: object, seed: int, targets: str) -> RunData:
    """Returns the data set itself if it is one of ours, else a user's module made one.

    Args:
        data: what the configuration's `_target_` made.
        seed: of the loaders' draws.
        targets: what the task learns of a sample: "classes", "labels" or "values".

    Raises:
        ValueError: it is no LightningDataModule with the three loaders.
    """
    return data if isinstance(data, ImageDataModule) else UserData(data, seed, targets)
