"""Colours of options, the same in drawings and charts, told apart by the colour-blind."""

import re
from collections.abc import Iterable
from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass
from itertools import chain, cycle

__all__ = ["CYCLE", "INK", "PALE", "TINT", "Paint", "dark_scheme", "on_dark", "paints_of", "tint"]

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
TINT = 0.14  # share of its colour in the field behind an operation's name
DARK_PAPER = "#1b2129"
GREYS_ON_DARK = {
    INK: "#e6e9ed",
    PALE: "#a9b3bf",
    "#ffffff": DARK_PAPER,
    "#e4e8ee": "#2f3742",
    "#d9dfe6": "#323a45",
    "#d5dbe3": "#3a434f",
    "#c3cad3": "#4a5461",
    "#a3adba": "#6b7785",
    "#8a929c": "#98a2ae",
    "#6b7785": "#8d98a5",
    "#52606d": "#a9b3bf",
    "#4b5563": "#b5bec8",
    "#a33a00": "#ff9d6b",
}


@dataclass(frozen=True)
class Paint:
    """How one option is drawn.

    Attributes:
        colour: "#rrggbb", readable as a line and as text on white.
        dash: lengths of a line's strokes and gaps, in pixels.
    """

    colour: str
    dash: tuple[float, float]


PAINTS = tuple(Paint(colour, dash) for dash in DASHES for colour in CYCLE)


def paints_of(labels: Iterable[str]) -> dict[str, Paint]:
    """Returns a paint for each label, in the order given, without repetitions.

    Operations of a known family look the same whatever stands beside them, unless an earlier label
    has taken that look; the others take the colours of a cycle in turn, unused ones first.

    >>> paints_of(["skip_connect", "sep_conv_3x3"])["sep_conv_3x3"].colour
    '#0068a8'
    """
    names, paints = list(dict.fromkeys(labels)), dict[str, Paint]()
    for name in names:
        free = [paint for paint in _of_family(name) if paint not in paints.values()]
        if free:
            paints[name] = free[0]
    colours = {paint.colour for paint in paints.values()}
    left = [paint for paint in PAINTS if paint not in paints.values()]
    left.sort(key=lambda paint: (DASHES.index(paint.dash), paint.colour in colours))
    others = chain(left, cycle(PAINTS))
    return {name: paints.get(name) or next(others) for name in names}


def tint(colour: str, share: float, paper: str = "#ffffff") -> str:
    """Returns a colour "#rrggbb" of which a share in [0, 1] is left, mixed with the paper's.

    >>> tint("#000000", 0.2)
    '#cccccc'
    """
    pairs = zip(_channels(colour), _channels(paper), strict=True)
    return "#" + "".join(f"{round(under - (under - value) * share):02x}" for value, under in pairs)


def on_dark(colour: str) -> str:
    """Returns how a colour "#rrggbb" is drawn on dark paper; darker ones become lighter.

    >>> on_dark("#1f2933"), on_dark("#0068a8")
    ('#e6e9ed', '#73c0ef')
    """
    if colour in GREYS_ON_DARK:
        return GREYS_ON_DARK[colour]
    hue, light, saturation = rgb_to_hls(*(value / 255 for value in _channels(colour)))
    mixed = hls_to_rgb(hue, 0.86 - 0.5 * light, 0.8 * saturation)
    return "#" + "".join(f"{round(255 * value):02x}" for value in mixed)


def dark_scheme() -> dict[str, str]:
    """Returns for every colour of charts and drawings the one that stands for it on dark paper."""
    palette = dict.fromkeys([*CYCLE, *(shade for _, shades in FAMILIES for shade in shades)])
    tints = {tint(colour, TINT): tint(on_dark(colour), 0.2, DARK_PAPER) for colour in palette}
    return GREYS_ON_DARK | tints | {colour: on_dark(colour) for colour in palette}


def _channels(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def _of_family(label: str) -> list[Paint]:
    """Returns the looks of a label's family, the label's own first; none of no family."""
    for pattern, shades in FAMILIES:
        if re.search(pattern, label.lower()):
            size = re.search(r"(\d+)x\d+", label)
            step = max(0, (int(size[1][:3]) - 3) // 2) if size else 0
            own = Paint(shades[step % len(shades)], DASHES[step % len(DASHES)])
            return [own, *(Paint(shade, dash) for dash in DASHES for shade in shades)]
    return []
