"""A stack of cells between a stem and a classifier: supernets and children of cell spaces.

Images are (N, C, H, W); signals (N, C, L) become maps of height 1 in the stem.

Source: Liu et al., DARTS, 2019 (arXiv:1806.09055), search and evaluation networks. Deliberate
differences: odd image sizes work (see `FactorizedReduction`), and the auxiliary head ends with a
mean over the map, so that it fits maps other than 8x8.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from nas_lightning.core.choices import Branch, Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell, DropPath, cell_weights
from nas_lightning.networks.kernels import as_maps, kernel_sides, padded_conv, spatial_mean
from nas_lightning.networks.operations import FactorizedReduction, Operation, relu_conv_norm
from nas_lightning.networks.state import State

__all__ = [
    "CellNetwork",
    "GlobalMean",
    "MakeCell",
    "Stem",
    "auxiliary_head",
    "cell_kinds",
    "check_auxiliary",
    "two_thirds",
]

STEM_MULTIPLIER = 3
MIN_SIDE = {"cifar": 8, "imagenet": 32}
MIN_AUXILIARY_SIDE = {"cifar": 8, "imagenet": 7}

# Builds a cell of a kind ("normal" or "reduction") and a number of channels, with operations that
# give its two inputs as many, and a flavour of BatchNorm.
MakeCell = Callable[[str, int, Sequence[Operation], Norm], Cell]


def cell_kinds(cells: int) -> list[str]:
    """Returns the kind of each cell: reductions stand at the thirds.

    >>> cell_kinds(4)
    ['normal', 'reduction', 'reduction', 'normal']
    """
    thirds = cells // 3, two_thirds(cells)
    return ["reduction" if index in thirds else "normal" for index in range(cells)]


def two_thirds(cells: int) -> int:
    """Returns the number of the second reduction."""
    return 2 * cells // 3


class CellNetwork(nn.Module):
    """Stem, cells with two reductions at the thirds, global pooling, classifier.

    `branches` are a supernet's tables of branches by kind of cell; {} for a child.

    Raises: ValueError: the image is too small for the reductions or the auxiliary head.
    """

    def __init__(
        self, make_cell: MakeCell, branches: Mapping[str, Sequence[Branch]], scale: Scale
    ) -> None:
        super().__init__()
        norm = Norm.of(scale)
        self.branches = {kind: tuple(table) for kind, table in branches.items()}
        self.kinds = cell_kinds(scale.cells)
        self.stem = Stem(scale, norm)
        before, last, channels = self.stem.width, self.stem.width, scale.channels
        after_reduction = scale.stem == "imagenet"
        self.cells = nn.ModuleList()
        for index, kind in enumerate(self.kinds):
            is_reduction = kind == "reduction"
            channels *= 2 if is_reduction else 1
            first = FactorizedReduction if after_reduction else relu_conv_norm
            preprocess = [first(before, channels, norm), relu_conv_norm(last, channels, norm)]
            cell = make_cell(kind, channels, preprocess, norm)
            self.cells.append(cell)
            before, last, after_reduction = last, len(cell.output) * channels, is_reduction
            if index == two_thirds(scale.cells):
                auxiliary_channels = last
        self.classifier = nn.Linear(last, scale.outputs())
        if scale.auxiliary:
            self.auxiliary = auxiliary_head(auxiliary_channels, scale, norm)

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns logits (N, num_outputs) of normalised images (N, C, H, W) or signals (N, C, L).

        Only a supernet has a mixture, and only a child a drop path, in training.
        """
        return self._run(x, mixture, drop_path)[0]

    def forward_auxiliary(
        self, x: Tensor, drop_path: DropPath | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns a child's logits (N, num_outputs) and those of its auxiliary head.

        Raises: ValueError: the network was built without an auxiliary head.
        """
        check_auxiliary(self)
        logits, at_two_thirds = self._run(x, None, drop_path)
        return logits, self.auxiliary(at_two_thirds)

    def _run(
        self, x: Tensor, mixture: Mixture | None, drop_path: DropPath | None
    ) -> tuple[Tensor, Tensor]:
        weights = cell_weights(self.branches, self.kinds, mixture)
        before, last = self.stem(x)
        at_two_thirds = last.x
        for index, (cell, own) in enumerate(zip(self.cells, weights, strict=True)):
            before, last = last, cell((before, last), own, drop_path)
            if index == two_thirds(len(self.cells)):
                at_two_thirds = last.x
        return self.classifier(spatial_mean(last.x)), at_two_thirds


def check_auxiliary(network: nn.Module) -> None:
    """Raises ValueError for a network without auxiliary head."""
    if not hasattr(network, "auxiliary"):
        raise ValueError(
            "the network has no auxiliary head (scale.auxiliary is false); build it with "
            "scale.auxiliary=true, or call it as network(x)"
        )


class Stem(nn.ModuleList):
    """The layers before the cells: one part, or two parts of one input each.

    Raises: ValueError: the image is too small for the reductions or the auxiliary head.
    """

    def __init__(self, scale: Scale, norm: Norm) -> None:
        super().__init__()
        colours, axes = scale.maps()[0], norm.axes
        _check_side(min(scale.sample_shape()[1:]), scale)
        channels, half, affine = scale.channels, scale.channels // 2, norm.always_affine
        if scale.stem == "cifar":
            self.width = STEM_MULTIPLIER * channels
            conv = padded_conv(colours, self.width, 3, 1, axes)
            self.append(nn.Sequential(conv, affine(self.width)))
            return
        self.width = channels
        convs = [padded_conv(a, b, 3, 2, axes) for a, b in ((colours, half), (half, channels))]
        first = [convs[0], affine(half), nn.ReLU(), convs[1]]
        self.append(nn.Sequential(*first, affine(channels)))
        last = padded_conv(channels, channels, 3, 2, axes)
        self.append(nn.Sequential(nn.ReLU(), last, affine(channels)))

    def forward(self, x: Tensor) -> tuple[State, State]:
        """Returns both inputs of the first cell, of images (N, C, H, W) or signals (N, C, L)."""
        first = State(self[0](as_maps(x)))
        return first, (first if len(self) == 1 else State(self[1](first.x)))


def _check_side(side: int, scale: Scale) -> None:
    """Refuses images whose smaller side, in pixels, is too small, and signals as short."""
    least = MIN_SIDE[scale.stem]
    if side < least and scale.axes == 1:
        raise ValueError(
            f"signals of length {side} are too short for the reductions; with "
            f"scale.stem={scale.stem} they need at least {least} values: pad them"
        )
    if side < least:
        raise ValueError(
            f"images of {side} pixels are too small for the reductions; with "
            f"scale.stem={scale.stem} they need at least {least} pixels per side: set "
            f"data.image_size={least} or more"
        )
    side = -(-side // (4 if scale.stem == "cifar" else 32))
    least = MIN_AUXILIARY_SIDE[scale.stem]
    if scale.auxiliary and side < least:
        what, larger = ("pixels per side", "images") if scale.axes == 2 else ("values", "signals")
        raise ValueError(
            f"the map at two thirds of the cells has {side} {what}, and the auxiliary "
            f"head needs {least}: set scale.auxiliary=false, or use larger {larger}"
        )


class GlobalMean(nn.Module):
    """The mean over height and width."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the means (N, C) of x (N, C, H, W)."""
        return spatial_mean(x)


def auxiliary_head(channels: int, scale: Scale, norm: Norm) -> nn.Sequential:
    """Returns DARTS's auxiliary head on a map; its third layer is a 1x1 convolution."""
    is_cifar = scale.stem == "cifar"
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(
            kernel_sides(5, norm.axes), stride=3 if is_cifar else 2, count_include_pad=False
        ),
        nn.Conv2d(channels, 128, 1, bias=False),
        norm.always_affine(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, kernel_sides(2, norm.axes), bias=False),
        norm.always_affine(768) if is_cifar else nn.Identity(),
        nn.ReLU(),
        GlobalMean(),
        nn.Linear(768, scale.outputs()),
    )
