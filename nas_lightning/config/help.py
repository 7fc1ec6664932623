"""The help of the commands, read off the configuration files without importing anything heavy."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from nas_lightning.config.paths import config_dir

__all__ = ["help_text", "options_of", "own_folders"]

EXAMPLES = {
    "search": (
        "nas-search                                    DARTS on handwritten digits, two minutes",
        "nas-search strategy=random evaluation=low_fidelity",
        "nas-search strategy.order=second seed=1",
        "nas-search data=folder data.path=DIR          your own images",
        "nas-search -m strategy=darts,random seed=0,1,2",
        "nas-search resume=RUN_DIR                     resume an interrupted run",
    ),
    "train": (
        "nas-train genotype=darts_v2                   a published genotype",
        "nas-train genotype=RUN_DIR child=darts_cifar  what a search found",
        "nas-train resume=RUN_DIR                      resume an interrupted run",
    ),
    "benchmark": (
        "nas-benchmark experiment=nasbench201/evolution     the published protocol, 500 seeds",
        "nas-benchmark strategy=random seeds=100 budget_s=6000 data=cifar100",
        "nas-benchmark experiment=nasbench201/evolution compare=[RUN_DIR]",
    ),
    "measure": ("nas-measure what=proxies data.path=FILE       zero-cost proxies against a table",),
    "show": (
        "nas-show genotype=darts_v2",
        "nas-show genotype=RUN_DIR json=true",
        "nas-show genotype=darts_v2 channels=48 cells=14 stem=imagenet "
        "input_shape=[3,224,224] num_outputs=1000",
    ),
}
RESUME = ("resume=RUN_DIR", "resume an interrupted run or sweep with its own configuration")
OPTIONS = (
    ("-m, --multirun", "run a sweep: every combination of comma-separated values"),
    ("--cfg job", "print the configuration and stop"),
    ("--config-dir DIR", "a folder of your own groups and options"),
    ("--version", "the version"),
    ("--help", "this text"),
)


def help_text(config_name: str, arguments: Sequence[str] = ()) -> str:
    """Returns the help of a command: its groups, their options, its keys, and examples.

    The options in the user's own folders, which the arguments name, are listed too.
    """
    primary = (config_dir() / f"{config_name}.yaml").read_text()
    lines = [_first_comment(primary), "", "Groups (GROUP=OPTION; * is the default):"]
    for group, chosen in re.findall(r"^  - (?!schema)(\w+): (\S+)", primary, re.MULTILINE):
        options = options_of(group, own_folders(arguments))
        lines += [f"  {group}"] if options else []
        for option, meaning in options.items():
            lines.append(f"   {'*' if option == chosen else ' '}{option:14} {meaning}")
    lines += ["", "Keys (KEY=VALUE; those of the options above: --cfg job shows them):"]
    lines += [f"  {line}" for line in _keys(primary)]
    flags = OPTIONS if config_name == "show" else (RESUME, *OPTIONS)
    lines += ["", "Options:", *(f"  {name:18} {text}" for name, text in flags)]
    lines += ["", "Examples:", *(f"  {line}" for line in EXAMPLES[config_name])]
    return "\n".join(lines)


def _first_comment(text: str) -> str:
    comments = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    return next((c for c in comments if not c.startswith("@package")), "")


def options_of(group: str, own_folders: Iterable[Path] = ()) -> dict[str, str]:
    """Returns the options of a group and what each means, in alphabetical order."""
    found = {}
    for folder in (config_dir(), *own_folders):
        for path in (folder / group).glob("**/[!_]*.yaml"):  # _*.yaml is a base, no option
            option = path.relative_to(folder / group).with_suffix("").as_posix()
            found[option] = _first_comment(path.read_text())
    return dict(sorted(found.items()))


def own_folders(arguments: Sequence[str]) -> list[Path]:
    """Returns the user's folders: that of --config-dir, with a space or =, and searchpath's."""
    named = [
        following if flag == "--config-dir" else flag.partition("=")[2]
        for flag, following in pairwise([*arguments, ""])
        if flag.partition("=")[0] in ("--config-dir", "-cd")
    ]
    searched = [a for a in arguments if a.lstrip("+").startswith("hydra.searchpath=")]
    named += re.findall(r"file://([^],'\"]+)", " ".join(searched))
    return [Path(name) for name in named]


def _keys(primary: str) -> list[str]:
    body = primary.split("\n\nhydra:")[0].split("\n\n", 1)[1]
    found = re.findall(r"^(\w+): (.*?)(?: # (.*))?$", body, re.MULTILINE)
    pairs = [(f"{key}={value.replace('???', '...')}", meaning) for key, value, meaning in found]
    return [f"{pair:27} {meaning}" for pair, meaning in pairs]
