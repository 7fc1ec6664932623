"""Small pieces of HTML text: escaped elements, and figures as people read them."""

from collections.abc import Iterable
from html import escape
from math import isfinite

from nas_lightning.reports.svg import plain

__all__ = ["count", "duration", "element", "figure", "percent", "safe", "section", "table"]


def safe(value: object) -> str:
    """Returns any value as text in which markup has no meaning."""
    return escape(plain(str(value)))


def element(name: str, content: str, class_: str = "") -> str:
    """Returns one HTML element; `content` is markup."""
    head = f'{name} class="{safe(class_)}"' if class_ else name
    return f"<{head}>{content}</{name}>"


def section(title: str, content: str) -> str:
    """Returns a section with its heading, "" where there is no content; `content` is markup."""
    return element("section", element("h2", safe(title)) + content) if content else ""


def table(rows: Iterable[tuple[object, ...]], head: tuple[str, ...] = ()) -> str:
    """Returns a table whose rows begin with a heading; all cells are escaped."""
    parts = [element("tr", "".join(element("th", safe(cell)) for cell in head))] if head else []
    for first, *others in rows:
        cells = element("th", safe(first)) + "".join(element("td", safe(o)) for o in others)
        parts.append(element("tr", cells))
    return element("div", element("table", "".join(parts)), "table") if parts else ""


def figure(name: str, value: str, remark: str = "") -> str:
    """Returns one headline figure; all texts are escaped."""
    small = element("small", safe(remark)) if remark else ""
    return element("div", element("span", safe(name)) + element("b", safe(value)) + small, "figure")


def percent(value: object) -> str:
    """Returns a share in percent, a dash for anything but a finite number.

    >>> percent(0.98333), percent(None)
    ('98.33 %', '-')
    """
    is_good = isinstance(value, int | float) and isfinite(value)
    return f"{float(value) * 100:.2f} %" if is_good else "-"  # type: ignore[arg-type]


def count(value: object) -> str:
    """Returns a number with thousands apart, a dash for anything but a finite number.

    >>> count(1930618), count(2.5)
    ('1,930,618', '2.5')
    """
    if not isinstance(value, int | float) or not isfinite(value):
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def duration(value: object) -> str:
    """Returns seconds as people say them, a dash for anything but a finite number.

    >>> duration(5.26), duration(112.4), duration(7384)
    ('5.3 s', '1 min 52 s', '2 h 03 min')
    """
    if not isinstance(value, int | float) or not isfinite(value):
        return "-"
    if value < 60:
        return f"{value:.1f} s"
    seconds = round(value)
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
