"""The help of the commands, read off the configuration files without importing anything heavy."""

import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from nas_lightning.config.paths import config_dir
from nas_lightning.core.checks import unknown_name
from nas_lightning.reports.terminal import columns_of

__all__ = ["EXAMPLES", "MORE_KEYS", "groups", "help_text", "option_of", "options_of", "own_folders"]

HELP = ("--help", "-h")
HIDDEN = ("sweep",)  # definitions for Weights & Biases, no group
ALL, COLUMNS, LEAST = "all", 80, 20  # of them for a meaning beside its name
MOST_KEYS = 10  # so that the help fits a screen of 24 lines

Pairs = tuple[tuple[str, str], ...]

EXAMPLES: dict[str, Pairs] = {
    "search": (
        ("nas-search", "DARTS on digits: 3 minutes"),
        ("nas-search strategy=random evaluation=low_fidelity", "a black-box search"),
        ("nas-search data=folder data.path=DIR", "your own images"),
        ("nas-search -m strategy=darts,random seed=0,1,2", "a sweep, with a table"),
        ("nas-search resume=RUN_DIR", "resume an interrupted run"),
    ),
    "train": (
        ("nas-train darts_v2", "a published genotype"),
        ("nas-train RUN_DIR", "what a search found"),
        ("nas-train RUN_DIR child=darts_cifar", "the same, large and for long"),
        ("nas-train darts_v2 data=folder data.path=DIR", "on your own images"),
        ("nas-train resume=RUN_DIR", "resume an interrupted run"),
    ),
    "benchmark": (
        ("nas-benchmark experiment=nasbench201/evolution", "the published protocol"),
        ("nas-benchmark strategy=random seeds=100 data=cifar100", ""),
        ("nas-benchmark strategy=random compare=[RUN_DIR]", "beside an earlier one"),
    ),
    "derive": (
        ("nas-derive RUN_DIR", "what the space's own rule finds, and what is nearest"),
        ("nas-derive RUN_DIR rule=perturbation", "by what each option's removal costs"),
        ("nas-derive RUN_DIR rule=evolution samples=50", "by a search in the supernet"),
    ),
    "measure": (
        ("nas-measure what=proxies data.path=FILE", "zero-cost proxies against a table"),
        ("nas-measure what=fidelity data=digits tau=0.6", "which evaluation ranks well enough"),
    ),
    "show": (
        ("nas-show darts_v2", "a published genotype"),
        ("nas-show RUN_DIR", "what a search found"),
        ("nas-show RUN_DIR output=cell.png", "its picture as PNG"),
        ("nas-show darts_v2 json=true output=null", "for scripts, no file"),
        ("nas-show darts_v2 channels=48 cells=14 stem=imagenet", "another size"),
    ),
}
NETWORK: Pairs = (
    ("child.epochs=12", "of the child's training"),
    ("data.path=null", "your images: a folder or file"),
    ("data.batch_size=64", "samples per step"),
    ("hydra.run.dir=DIR", "the run's folder; else a new one in outputs/"),
)
MORE_KEYS: dict[str, Pairs] = {
    "search": (
        ("strategy.epochs=6", "of a one-shot search; strategy.trials else"),
        ("limits.parameters=null", "most parameters of the child, e.g. 90k"),
        *NETWORK,
    ),
    "train": (
        ("child.validation_share=0.0", "of the training set, held out"),
        ("data.max_images=null", "most training samples"),
        *NETWORK,
    ),
}
RESUME = ("resume=RUN_DIR", "resume an interrupted run or sweep with its own configuration")
FORK = ("fork=RUN_DIR at=EPOCH", "start a new search from a run's state after an epoch (0-based)")
TRUST = ("trust=true", "call code of others that a run's folder names")
OPTIONS: Pairs = (
    ("-m, --multirun", "run a sweep: every combination of comma-separated values"),
    ("--cfg job", "print the configuration and stop"),
    ("--config-dir DIR", "a folder of your own groups and options"),
    ("--shell-completion", "install tab completion: install=bash, zsh or fish"),
    ("--version", "the version"),
    ("--help GROUP", "the options of a group, or the keys of a section; --help all: everything"),
)


def help_text(config_name: str, arguments: Sequence[str] = ()) -> str:
    """Returns the help of a command that fits a screen, or of what follows --help.

    That is a group, whose options are listed with those in the user's own folders, which the
    arguments name; a section of keys, e.g. limits; or "all": every group, option and key.

    Raises: ValueError: there is no such group or section.
    """
    primary = (config_dir() / f"{config_name}.yaml").read_text()
    defaults = dict(re.findall(r"^  - (?!schema)(\w+): (\S+)", primary, re.MULTILINE))
    folders = own_folders(arguments)
    topic = next((b for a, b in pairwise([*arguments, ""]) if a in HELP), "")
    of_topic = [pair for pair in _keys(primary) if pair[0].startswith(f"{topic}.")]
    if topic in defaults:
        lines = [*_options(topic, defaults[topic], folders), "", _more(config_name, topic)]
    elif of_topic:
        lines = [f"  {topic}", *_table(of_topic, indent=3)]
    elif topic == ALL:
        lines = _everything(config_name, primary, defaults, folders)
    elif topic and not topic.startswith("-") and "=" not in topic:
        sections = {
            key.partition(".")[0] for key, _ in _keys(primary) if "." in key.partition("=")[0]
        }
        raise ValueError(unknown_name("topic", topic, [*sorted({*defaults, *sections}), ALL]))
    else:
        lines = _overview(config_name, primary, defaults)
    return "\n".join(lines)


def groups() -> list[str]:
    """Returns the names of all groups."""
    return sorted(p.name for p in config_dir().iterdir() if p.is_dir() and p.name not in HIDDEN)


def _overview(name: str, primary: str, defaults: dict[str, str]) -> list[str]:
    names = [f"{group}={chosen}" for group, chosen in defaults.items() if chosen != "null"]
    names += [f"{group}=..." for group, chosen in defaults.items() if chosen == "null"]
    flat = [(key, meaning) for key, meaning in _keys(primary) if "." not in key.partition("=")[0]]
    keys = [*flat, *MORE_KEYS.get(name, ())][:MOST_KEYS]
    room = _columns() - 4 - max(len(key) for key, _ in keys)
    first = next(iter(defaults))
    return [
        *_wrap(_first_comment(primary), "", "  "),
        f"Groups (GROUP=OPTION; options: --help {first} ...; everything: --help all):",
        *_wrap("  ".join(names), "  ", "  "),
        "Keys (KEY=VALUE; all of them: --cfg job):",
        *_table([(key, _short(meaning, room)) for key, meaning in keys]),
        "Examples:",
        *_table(EXAMPLES[name]),
    ]


def _short(meaning: str, room: int) -> str:
    """Returns the first clauses of a meaning that fit; all of it if the first is a word alone.

    >>> _short("a name, a file, or a notation", 16), _short("true: prints JSON", 8)
    ('a name, a file', 'true: prints JSON')
    """
    first, *clauses = re.split(r"(?=[;,:] | \()", meaning)
    for clause in clauses:
        if len(first) + len(clause) > room:
            return first if " " in first else meaning
        first += clause
    return first


def _everything(
    name: str, primary: str, defaults: dict[str, str], folders: list[Path]
) -> list[str]:
    lines = [_first_comment(primary), "", "Groups (GROUP=OPTION; * is the default):"]
    for group, chosen in defaults.items():
        lines += _options(group, chosen, folders)
    lines += ["", "Keys (KEY=VALUE; those of the options above: --cfg job shows them):"]
    lines += _table(_keys(primary))
    more = {"show": (TRUST,), "search": (RESUME, FORK, TRUST)}.get(name, (RESUME, TRUST))
    flags = (*more, *OPTIONS)
    return [*lines, "", "Options:", *_table(flags), "", "Examples:", *_table(EXAMPLES[name])]


def _options(group: str, chosen: str, folders: list[Path]) -> list[str]:
    options = options_of(group, folders)
    marked = [(f"{'*' if name == chosen else ' '}{name}", options[name]) for name in options]
    return [f"  {group}", *_table(marked, indent=3)] if options else []


def _more(name: str, group: str) -> str:
    return f"The keys of an option: nas-{name} {group}=OPTION --cfg job"


def _columns() -> int:
    return columns_of(sys.stdout) or COLUMNS


def _table(pairs: Sequence[tuple[str, str]], indent: int = 2) -> list[str]:
    """Returns a line per name and meaning; a meaning without room goes below its name."""
    width = max(len(name) for name, _ in pairs) + 1
    lines, start = list[str](), " " * (indent + width + 1)
    for name, meaning in pairs:
        line = f"{' ' * indent}{name:{width}} {meaning}".rstrip()
        if len(line) <= _columns():
            lines.append(line)
        elif _columns() - len(start) >= LEAST:
            lines += _wrap(line, "", start)
        else:
            below = " " * (indent + 4)
            lines.append(f"{' ' * indent}{name}")
            lines += _wrap(meaning, below, below)
    return lines


def _wrap(text: str, first: str, others: str) -> list[str]:
    """Returns the lines of a text that begin with an indent each, broken between words."""
    wrapper = textwrap.TextWrapper(_columns(), first, others, break_long_words=False)
    wrapper.break_on_hyphens = False
    return wrapper.wrap(text)


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


def option_of(group: str, target: str) -> str | None:
    """Returns the option of a group, of our own, that makes a class or function; None if none."""
    files = sorted((config_dir() / group).glob("*.yaml"))
    line = f"_target_: {target}"
    return next((f.stem for f in files if line in f.read_text("utf-8").splitlines()), None)


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


def _keys(primary: str) -> list[tuple[str, str]]:
    body = primary.split("\n\nhydra:")[0].split("\n\n", 1)[1]
    pairs, group = [], ""
    for line in re.findall(r"^( *)(\w+):(?: ([^#\n]+?))?(?: # (.*))?$", body, re.MULTILINE):
        indent, key, value, meaning = line
        group = group if indent else "" if value else f"{key}."
        if value:
            pairs.append((f"{group}{key}={value.replace('???', '...')}", meaning))
    return pairs
