"""Colours of options, the same in drawings and charts, told apart by the colour-blind."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle

__all__ = ["CYCLE", "INK", "PALE", "Paint", "paints_of", "tint"]

INK, PALE = "#1f2933", "#5b6673"  # of text

# Each family has one hue and a shade per kernel size; the hues are those of Okabe and Ito, 2008,
# "Color universal design", darkened where a thin line on white would be faint.
FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"^(none|zero|null|off)(_|$)", ("#8a929c",)),
    (r"skip|identity|^id$", ("#008f68",)),
    (r"(avg|average|mean).*pool", ("#d99100", "#a36d00")),
    (r"pool", ("#cc4f0a", "#8f3606")),
    (r"^dil|dilated", ("#bb5d96", "#6f4aa8", "#47306d")),
    (r"^(sep|dw|mb)|separable|depthwise", ("#0068a8", "#3fa3dc", "#003e66")),
    (r"conv", ("#7d6b1d", "#b39b2c", "#51450f")),
    (r"noise", ("#4b5563",)),
)
CYCLE = ("#0068a8", "#cc4f0a", "#008f68", "#bb5d96", "#d99100", "#6f4aa8", "#3fa3dc", "#7d6b1d")
DASHES = ((1.0, 0.0), (5.0, 2.5), (1.5, 2.0))


@dataclass(frozen=True)
class Paint:
    """How one option is drawn.

    Attributes:
        colour: "#rrggbb", readable as a line and as text on white.
        dash: lengths of a line's strokes and gaps, in pixels.
    """

    colour: str
    dash: tuple[float, float]


def paints_of(labels: Iterable[str]) -> dict[str, Paint]:
    """Returns a paint for each label, in the order given, without repetitions.

    Operations of a known family look the same whatever stands beside them; the others take the
    colours of a cycle in turn.

    >>> paints_of(["skip_connect", "sep_conv_3x3"])["sep_conv_3x3"].colour
    '#0068a8'
    """
    others = cycle(Paint(colour, dash) for dash in DASHES for colour in CYCLE)
    return {label: _of_family(label) or next(others) for label in dict.fromkeys(labels)}


def tint(colour: str, share: float) -> str:
    """Returns a colour "#rrggbb" of which a share in [0, 1] is left, mixed with white.

    >>> tint("#000000", 0.2)
    '#cccccc'
    """
    channels = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - value) * share):02x}" for value in channels)


def _of_family(label: str) -> Paint | None:
    for pattern, shades in FAMILIES:
        if re.search(pattern, label.lower()):
            size = re.search(r"(\d+)x\d+", label)
            step = max(0, (int(size[1][:3]) - 3) // 2) if size else 0
            return Paint(shades[step % len(shades)], DASHES[step % len(DASHES)])
    return None
