"""Where every command starts: picks it by name and imports it only when its work begins."""

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nas_lightning import __version__
from nas_lightning.cli import command
from nas_lightning.cli.idle_threads import sleeping
from nas_lightning.config.paths import config_dir
from nas_lightning.core.checks import unknown_name

__all__ = ["main", "names"]

REPORT = "report"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the started script, or `python -m nas_lightning NAME`, names.

    The arguments are its name and what was typed after it; None takes sys.argv, whose first is a
    script such as nas-search.

    Raises: SystemExit: the command failed, or there is none of that name.
    """
    if arguments is None:
        script, *typed = sys.argv
        arguments = [Path(script).stem.removeprefix("nas-"), *typed]
    if arguments and arguments[0] in ("--help", "-h", "--version"):
        print(f"nas_lightning {__version__}; python -m nas_lightning COMMAND [KEY=VALUE ...]")
        print(f"commands (COMMAND --help tells more): {', '.join(names())}")
        return
    if not arguments or arguments[0] not in names():
        listed = f"choose from: {', '.join(names())}"
        message = unknown_name("command", arguments[0], names()) if arguments else listed
        print(message, file=sys.stderr)
        raise SystemExit(2)
    os.environ.update(sleeping(os.environ))  # before torch is imported
    atexit.register(gc.freeze)  # else Python looks for a second for what ends with it anyway
    name, *typed = arguments
    sys.argv = [f"nas-{name}", *typed]
    if name == REPORT:
        # Charts take a second to import, which the other commands need not wait for.
        from nas_lightning.commands import report

        report.main(typed)
    else:
        command.run(name)


def names() -> list[str]:
    """Returns the commands: one for each primary configuration, and nas-report, which has none."""
    return sorted([REPORT, *(path.stem for path in config_dir().glob("*.yaml"))])
