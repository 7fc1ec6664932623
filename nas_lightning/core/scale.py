"""How big a network is built: everything about it that is no part of a genotype."""

from dataclasses import dataclass

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale:
    """Sizes and flavours of a supernet or child; the same genotype is built at any scale.

    Attributes:
        channels: channels of the first cells; they double at each reduction. At least 2.
        cells: number of stacked cells, at least 3.
        stem: "cifar" (full resolution) or "imagenet" (an eighth of it).
        flavour: "search" (BatchNorm without affine parameters, and after pools as well) or
            "child" (affine BatchNorm, none after pools), as in DARTS.
        batch_norm: "batch" (statistics of the batch while training) or "fixed" (the running
            ones, which then stay 0 and 1).
        auxiliary: whether a child has the auxiliary head of DARTS's evaluation network.
        partial: a mixed operation runs on one of so many channels and the others go around it
            (PC-DARTS's K); 1 runs it on all. Cells of edges alone take notice of it.
        input_shape: input shape, of an image (channels, height, width); null takes it from the
            data.
        num_outputs: number of classes; null takes it from the data.

    Raises:
        ValueError: a value is out of its range.
    """

    channels: int = 16
    cells: int = 8
    stem: str = "cifar"
    flavour: str = "search"
    batch_norm: str = "batch"
    auxiliary: bool = False
    partial: int = 1
    input_shape: tuple[int, ...] | None = None
    num_outputs: int | None = None

    def __post_init__(self) -> None:
        if self.channels < 2:
            raise ValueError(f"scale.channels ({self.channels}) must be at least 2; use e.g. 16")
        if self.cells < 3:
            raise ValueError(
                f"scale.cells ({self.cells}) must be at least 3: one normal cell and "
                "two reduction cells; use e.g. 5"
            )
        if self.partial < 1 or self.channels % self.partial:
            raise ValueError(
                f"scale.partial ({self.partial}; strategy.partial sets it) must be at least 1 and "
                f"divide scale.channels ({self.channels}); PC-DARTS has 4 and 16"
            )
        _check_name("stem", self.stem, ("cifar", "imagenet"))
        _check_name("flavour", self.flavour, ("search", "child"))
        _check_name("batch_norm", self.batch_norm, ("batch", "fixed"))

    def check_extras(self, space: str, stems: tuple[str, ...] = ("cifar",)) -> None:
        """Checks that nothing is wanted that a space without cells cannot build.

        Args:
            space: name of the space.
            stems: the stems that it has.

        Raises:
            ValueError: `auxiliary` is true, `partial` is above 1, or there is no such stem.
        """
        if self.auxiliary:
            raise ValueError(
                f"search space '{space}' has no auxiliary head (scale.auxiliary is true); "
                "set scale.auxiliary=false"
            )
        if self.partial > 1:
            raise ValueError(
                f"search space '{space}' has no partial channels (scale.partial is "
                f"{self.partial}); set scale.partial=1"
            )
        if self.stem not in stems:
            raise ValueError(
                f"search space '{space}' has no scale.stem '{self.stem}'; choose from: "
                f"{', '.join(stems)}"
            )

    def sample_shape(self) -> tuple[int, ...]:
        """Returns the shape of one input of any rank.

        Raises:
            ValueError: the shape is unknown, or no shape.
        """
        if not self.input_shape or min(self.input_shape) < 1:
            raise ValueError(
                f"scale.input_shape ({self.input_shape}) must be a shape such as (3, 32, 32); "
                "it usually comes from the data"
            )
        return tuple(self.input_shape)

    def image(self) -> tuple[int, int, int]:
        """Returns the image shape (channels, height, width).

        Raises:
            ValueError: the shape is unknown, or no shape of an image.
        """
        shape = self.input_shape
        if shape is None or len(shape) != 3 or min(shape) < 1:
            raise ValueError(
                f"scale.input_shape ({shape}) must be (channels, height, width); "
                "it usually comes from the data"
            )
        return shape[0], shape[1], shape[2]

    def outputs(self) -> int:
        """Returns the number of outputs.

        Raises:
            ValueError: it is unknown or below 1.
        """
        if self.num_outputs is None or self.num_outputs < 1:
            raise ValueError(
                f"scale.num_outputs ({self.num_outputs}) must be at least 1; "
                "it usually comes from the data"
            )
        return self.num_outputs


def _check_name(key: str, value: str, names: tuple[str, ...]) -> None:
    if value not in names:
        raise ValueError(f"unknown scale.{key} '{value}'; choose from: {', '.join(names)}")
