"""How big a network is built: everything about it that is not part of a genotype."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas_lightning.core.checks import at_least, one_of

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale:
    """Sizes and flavours of a supernet or child; the same genotype is built at any scale.

    Attributes:
        channels: channels of the first cells, at least 2; each reduction doubles them.
        cells: number of stacked cells, at least 3.
        stem: "cifar" (full resolution) or "imagenet" (an eighth of it).
        flavour: "search" (BatchNorm without affine parameters, and after pools as well) or
            "child" (affine BatchNorm, none after pools), as in DARTS.
        batch_norm: "batch" (statistics of the batch while training) or "fixed" (always the
            running statistics, which stay 0 and 1).
        auxiliary: whether a child has the auxiliary head of DARTS's evaluation network.
        partial: PC-DARTS's K: a mixed operation runs on one of K channels and the others bypass
            it; 1 runs it on all. Only spaces whose cells have edges use it.
        input_shape: shape of one input, (channels, height, width) of an image or (channels, length)
            of a signal, on which all kernels have one axis; None takes the data's.
        num_outputs: number of classes; None takes the data's.

    Raises: ValueError: a value is out of its range.
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
        at_least("scale.channels", self.channels, 2, use=16)
        at_least("scale.cells", self.cells, 3, use=5)  # a normal cell and two reduction cells
        if self.partial < 1 or self.channels % self.partial:
            raise ValueError(
                f"scale.partial ({self.partial}; strategy.partial sets it) must be at least 1 and "
                f"divide scale.channels ({self.channels}); PC-DARTS has 4 and 16"
            )
        one_of("scale.stem", self.stem, ("cifar", "imagenet"))
        one_of("scale.flavour", self.flavour, ("search", "child"))
        one_of("scale.batch_norm", self.batch_norm, ("batch", "fixed"))

    def of_data(self, input_shape: Sequence[int], num_outputs: int) -> "Scale":
        """Returns this scale for data of an input shape and a number of outputs.

        >>> Scale(channels=8).of_data((3, 32, 32), 10).input_shape
        (3, 32, 32)
        """
        return replace(self, input_shape=tuple(input_shape), num_outputs=num_outputs)

    def check_extras(self, space: str, stems: tuple[str, ...] = ("cifar",)) -> None:
        """Refuses what a space without cells, with these stems, cannot build.

        Raises: ValueError: `auxiliary` is true, `partial` is above 1, or the space lacks the stem.
        """
        no = f"search space '{space}' has no"
        if self.auxiliary:
            cure = "set scale.auxiliary=false"
            raise ValueError(f"{no} auxiliary head (scale.auxiliary is true); {cure}")
        if self.partial > 1:
            cure = "set scale.partial=1"
            raise ValueError(f"{no} partial channels (scale.partial is {self.partial}); {cure}")
        if self.stem not in stems:
            raise ValueError(f"{no} scale.stem '{self.stem}'; choose from: {', '.join(stems)}")

    def sample_shape(self) -> tuple[int, ...]:
        """Returns the shape of one input, of any rank.

        Raises: ValueError: the shape is unknown or invalid.
        """
        shape = self.input_shape
        if not shape or min(shape) < 1:
            raise _must("input_shape", shape, "a shape such as (3, 32, 32)")
        return tuple(shape)

    @property
    def axes(self) -> int:
        """The axes that kernels reach along: 1 where inputs are signals, else 2."""
        return 1 if self.input_shape is not None and len(self.input_shape) == 2 else 2

    def image(self) -> tuple[int, int, int]:
        """Returns the image shape (channels, height, width).

        Raises: ValueError: the shape is unknown or not that of an image.
        """
        shape = self.input_shape
        if shape is None or len(shape) != 3 or min(shape) < 1:
            other = "" if self.axes == 2 else "; for signals choose e.g. search_space=darts"
            raise _must("input_shape", shape, "(channels, height, width)", other)
        return shape[0], shape[1], shape[2]

    def maps(self) -> tuple[int, int, int]:
        """Returns the shape (channels, height, width) of an image, or of a signal with height 1.

        Raises: ValueError: the shape is unknown, or neither an image's nor a signal's.
        """
        shape = self.input_shape
        if shape is None or len(shape) not in (2, 3) or min(shape) < 1:
            wanted = "(channels, height, width), or (channels, length) of signals"
            raise _must("input_shape", shape, wanted, "; for tables choose search_space=custom")
        return shape[0], 1 if len(shape) == 2 else shape[1], shape[-1]

    def outputs(self) -> int:
        """Returns the number of outputs.

        Raises: ValueError: it is unknown or below 1.
        """
        if self.num_outputs is None or self.num_outputs < 1:
            raise _must("num_outputs", self.num_outputs, "at least 1")
        return self.num_outputs


def _must(name: str, value: object, be: str, other: str = "") -> ValueError:
    return ValueError(f"scale.{name} ({value}) must be {be}; it usually comes from the data{other}")
