"""Colours of operations, the same in drawings and plots, told apart by the colour-blind."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Paint", "family", "palette", "tint"]

# Each family has one hue and a shade a kernel size; the hues are those of Okabe and Ito, 2008,
# "Color universal design", darkened where a thin line on white would be faint.
_FAMILIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("none", r"^(none|zero|null|off)(_|$)", ("#8a929c",)),
    ("skip", r"skip|identity|^id$", ("#008f68",)),
    ("average pool", r"(avg|average|mean).*pool", ("#d99100", "#a36d00")),
    ("pool", r"pool", ("#cc4f0a", "#8f3606")),
    ("dilated convolution", r"^dil|dilated", ("#bb5d96", "#6f4aa8", "#47306d")),
    (
        "separable convolution",
        r"^(sep|dw|mb)|separable|depthwise",
        ("#0068a8", "#3fa3dc", "#003e66"),
    ),
    ("convolution", r"conv", ("#7d6b1d", "#b39b2c", "#51450f")),
    ("noise", r"noise", ("#4b5563",)),
)
_CYCLE = (
    "#0068a8",
    "#cc4f0a",
    "#008f68",
    "#bb5d96",
    "#d99100",
    "#6f4aa8",
    "#3fa3dc",
    "#7d6b1d",
)
_DASHES = ("", "5 2.5", "1.5 2")


@dataclass(frozen=True)
class Paint:
    """How one operation is drawn.

    Attributes:
        colour: "#rrggbb", readable as a line and as text on white.
        dash: SVG's stroke-dasharray for lines in plots, "" for a solid line.
    """

    colour: str
    dash: str


def family(label: str) -> str:
    """Returns the family of an operation by its name, "other" where the name says nothing.

    >>> family("sep_conv_5x5")
    'separable convolution'
    """
    return next((name for name, pattern, _ in _FAMILIES if _matches(pattern, label)), "other")


def palette(labels: Iterable[str]) -> dict[str, Paint]:
    """Returns a paint for each label, in the order given, without repetitions.

    Operations of a known family look the same whatever stands beside them; the others take the
    colours of a cycle in turn.

    >>> palette(["sep_conv_3x3"]) == palette(["skip_connect", "sep_conv_3x3"])
    False
    >>> palette(["skip_connect", "sep_conv_3x3"])["sep_conv_3x3"].colour
    '#0068a8'
    """
    paints: dict[str, Paint] = {}
    num_others = 0
    for label in dict.fromkeys(labels):
        known = _known(label)
        if known is None:
            known = Paint(_CYCLE[num_others % 8], _DASHES[num_others // 8 % 3])
            num_others += 1
        paints[label] = known
    return paints


def tint(colour: str, share: float) -> str:
    """Returns a colour mixed with white.

    Args:
        colour: "#rrggbb".
        share: how much of the colour stays, in [0, 1].

    >>> tint("#000000", 0.2)
    '#cccccc'
    """
    channels = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - value) * share):02x}" for value in channels)


def _known(label: str) -> Paint | None:
    for _, pattern, shades in _FAMILIES:
        if _matches(pattern, label):
            size = re.search(r"(\d+)x\d+", label)
            step = max(0, (int(size[1][:3]) - 3) // 2) if size else 0
            return Paint(shades[step % len(shades)], _DASHES[step % 3])
    return None


def _matches(pattern: str, label: str) -> bool:
    return re.search(pattern, label.lower()) is not None
