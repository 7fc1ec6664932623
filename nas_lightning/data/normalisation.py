"""From pixels to the floats that a network sees, by the statistics of the training set."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """Pixels to floats: (pixel / 255 - mean) / std, channel by channel.

    Args:
        mean: of each channel of the training set, in [0, 1].
        std: of each channel of the training set.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W), uint8, as normalised float32."""
        mean = torch.tensor(self.mean, device=images.device) * 255
        scale = 1 / (torch.tensor(self.std, device=images.device) * 255)
        floats = images.to(torch.float32)
        return floats.sub_(mean[:, None, None]).mul_(scale[:, None, None])


def statistics(images: Iterable[Tensor]) -> Normalisation:
    """Mean and standard deviation of each channel of uint8 batches (n, C, H, W), exact.

    A channel that is the same everywhere gets the standard deviation 1.
    """
    counts: Tensor | int = 0
    for batch in images:
        channels = batch.cpu().transpose(0, 1).flatten(1)
        counts = counts + torch.stack([torch.bincount(each, minlength=256) for each in channels])
    assert isinstance(counts, Tensor)
    share = counts.double() / counts.sum(1, keepdim=True)
    levels = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ levels
    std = (share * (levels - mean[:, None]).square()).sum(1).sqrt()
    is_constant = (share == 1).any(1)
    std = torch.where(is_constant, torch.ones_like(std), std)
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))
