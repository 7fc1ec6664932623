"""Augmentation of a whole batch on its device, by draws that depend on a key alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nas_lightning.core.checks import at_least, in_range

__all__ = ["NO_AUGMENTATION", "Augmentation", "Draws", "crop", "cut_hole_", "flip"]


@dataclass(frozen=True)
class Draws:
    """What was drawn for each image of a batch, (N,) each."""

    top: Tensor  # first row of the crop in the padded image
    left: Tensor
    flipped: Tensor
    hole_y: Tensor  # row of the centre of the hole
    hole_x: Tensor

    def part(self, rank: int, world: int) -> "Draws":
        """Returns the draws of one process's part of the batch."""
        return Draws(**{name: draw.chunk(world)[rank] for name, draw in vars(self).items()})


@dataclass(frozen=True)
class Augmentation:
    """Random crop with padding, horizontal flip, cutout and mixup.

    Crop and flip as in He et al. 2015 (arXiv:1512.03385, section 4.2); cutout as in DeVries and
    Taylor 2017 (arXiv:1708.04552): the square's centre may be anywhere in the image, so part of
    the square may fall outside. The padding is black; the hole is the mean of the training set.
    Mixup as in Zhang et al. 2018 (arXiv:1710.09412, equation 1 and figure 1): a batch is mixed with
    a permutation of itself, all images by one share; not those that a search validates on.
    """

    crop_padding: int  # black pixels on each side before the crop, at least 0
    flip: bool  # whether half of the images are mirrored; wrong for digits and letters
    cutout: int = 0  # side of the square hole in pixels; 0 means none
    mixup: float = 0.0  # both parameters of the share's Beta distribution, e.g. 0.2; 0 means none

    def __post_init__(self) -> None:
        at_least("data.augmentation.crop_padding", self.crop_padding, 0)
        at_least("data.augmentation.cutout", self.cutout, 0)
        in_range("data.augmentation.mixup", self.mixup, "[0, inf)", use=0.2)

    def with_cutout(self, cutout: int) -> "Augmentation":
        """Returns the same with a hole of this side in pixels, if its own is smaller."""
        return replace(self, cutout=max(cutout, self.cutout))

    def draw(self, num_images: int, size: Sequence[int], generator: torch.Generator) -> Draws:
        """Returns a whole batch's draws of all kinds, used or not: then none shifts another."""
        places = 2 * self.crop_padding + 1
        highs = (places, places, 2, size[0], size[1])
        draws = [torch.randint(high, (num_images,), generator=generator) for high in highs]
        return Draws(draws[0], draws[1], draws[2].bool(), draws[3], draws[4])

    def move(self, images: Tensor, draws: Draws) -> Tensor:
        """Returns images (N, C, H, W), of any type, cropped and flipped."""
        if self.crop_padding:
            images = crop(images, self.crop_padding, draws.top, draws.left)
        return flip(images, draws.flipped) if self.flip else images

    def cut(self, images: Tensor, draws: Draws) -> Tensor:
        """Returns normalised images (N, C, H, W) with a hole of zeros, made in place."""
        if self.cutout:
            cut_hole_(images, self.cutout, draws.hole_y, draws.hole_x)
        return images

    def mix(
        self, images: Tensor, targets: Tensor, num_outputs: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Returns a whole, normalised batch (N, C, H, W) mixed with a permutation of itself.

        Targets, classes int64 (N,) or columns (N, K), are mixed alike; classes become shares.
        """
        both = torch.full((2,), self.mixup, dtype=torch.float64)
        first, other = torch._standard_gamma(both, generator=generator).tolist()
        share = first / (first + other) if first + other > 0 else 1.0
        order = torch.randperm(len(images), generator=generator).to(images.device)
        if not targets.is_floating_point():
            targets = functional.one_hot(targets, num_outputs).to(torch.float32)
        mixed = [share * each + (1 - share) * each[order] for each in (images, targets)]
        return mixed[0], mixed[1]


NO_AUGMENTATION = Augmentation(crop_padding=0, flip=False)


def crop(images: Tensor, padding: int, top: Tensor, left: Tensor) -> Tensor:
    """Returns images (N, C, H, W) padded by zeros, cropped to their size at (top, left) (N,)."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (padding, padding, padding, padding))
    # A view of every crop of every image: choosing one copies whole rows, not single pixels.
    crops = padded.unfold(2, height, 1).unfold(3, width, 1)
    row = torch.arange(len(images), device=images.device)
    return crops[row, :, top.to(images.device), left.to(images.device)]


def flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Returns images (N, C, H, W), the flipped ones (N,) mirrored left to right."""
    return torch.where(flipped.to(images.device)[:, None, None, None], images.flip(-1), images)


def cut_hole_(images: Tensor, side: int, hole_y: Tensor, hole_x: Tensor) -> Tensor:
    """Sets a square of each image (N, C, H, W) to zero, in place; centres are (N,)."""
    rows = _near(hole_y.to(images.device), images.shape[-2], side)
    columns = _near(hole_x.to(images.device), images.shape[-1], side)
    return images.masked_fill_(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


def _near(centre: Tensor, length: int, side: int) -> Tensor:
    """Returns whether each place (N, length) is within the side's span around its centre (N,)."""
    distance = torch.arange(length, device=centre.device) - (centre - side // 2)[:, None]
    return (distance >= 0) & (distance < side)
