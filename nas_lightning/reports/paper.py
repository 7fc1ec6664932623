"""Pages on light and on dark paper, as the reader's system is: their style, and their pictures."""

import re
from pathlib import Path

from markupsafe import Markup

from nas_lightning.reports.colours import dark_scheme

__all__ = ["coloured", "page_style"]


def page_style() -> Markup:
    """Returns the style sheet of pages, with a name for each colour that is another one in dark."""
    names = " ".join(f"--c{light[1:]}: {dark};" for light, dark in dark_scheme().items())
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {names} }} }}\n"
    return Markup(style + dark)


def coloured(svg: str) -> Markup:
    """Returns a picture whose colours are those of `page_style` where it names them."""
    name = r'\1="var(--c\2, #\2)"'
    return Markup(re.sub(r'\b(fill|stroke)="#([0-9a-f]{6})"', name, svg))
