"""Small pieces of SVG text: escaping, numbers, elements, the width of a text."""

import re
from xml.sax.saxutils import escape, quoteattr

__all__ = ["FONT", "element", "number", "picture", "plain", "rich_text", "text", "text_width"]

FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

_NARROW = "fijlrt.,:;'|!()[]{}I -/"
_WIDE = "mwMW@%"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def number(value: float) -> str:
    """Returns a number with at most two decimals and no needless zero.

    >>> number(2.50), number(-0.001)
    ('2.5', '0')
    """
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short


def text_width(string: str, size: float) -> float:
    """Returns about how wide a text is in a sans-serif font, in pixels, rather too wide.

    Args:
        string: one line.
        size: font size in pixels.
    """
    units = sum(0.36 if c in _NARROW else 0.9 if c in _WIDE else 0.6 for c in string)
    return units * size


def element(name: str, content: str = "", **attributes: str | float) -> str:
    """Returns one SVG element; `content` is markup, attribute values are escaped.

    In attribute names "_" stands for "-" and a trailing "_" is dropped.
    """
    parts = [name]
    for key, value in attributes.items():
        shown = value if isinstance(value, str) else number(value)
        parts.append(f"{key.rstrip('_').replace('_', '-')}={quoteattr(plain(shown))}")
    head = " ".join(parts)
    return f"<{head}>{content}</{name}>" if content else f"<{head}/>"


def text(string: str, x: float, y: float, size: float = 11, **attributes: str | float) -> str:
    """Returns a text element with its baseline at (x, y); the string is escaped."""
    return element("text", escape(plain(string)), x=x, y=y, font_size=size, **attributes)


def rich_text(stem: str, below: str, x: float, y: float, size: float, fill: str) -> str:
    """Returns a centred bold text with a subscript, "" for none; both are escaped."""
    content = escape(plain(stem))
    if below:
        content += element("tspan", escape(plain(below)), dy=0.25 * size, font_size=0.75 * size)
    return element(
        "text", content, x=x, y=y, font_size=size, font_weight=600, text_anchor="middle", fill=fill
    )


def plain(string: str) -> str:
    """Returns a string without the characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", string)


def picture(width: float, height: float, content: str, label: str) -> str:
    """Returns a whole SVG document.

    Args:
        width: in pixels.
        height: in pixels.
        content: markup.
        label: what the picture shows, for those who cannot see it.
    """
    return element(
        "svg",
        element("title", escape(plain(label))) + content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        font_family=FONT,
    )
