"""Checks of the options that a search space offers."""

from collections.abc import Iterable, Sequence

from nas_lightning.core.checks import one_of

__all__ = ["check_names", "check_sizes", "listed"]


def check_names(key: str, names: Sequence[str], known: Iterable[str]) -> None:
    """Refuses an unknown or repeated name, or an empty list; `known` are the names that there are.

    Raises:
        ValueError: the names are no such list.

    >>> check_names("search_space.ops", ["skip", "skip"], ["skip", "conv"])
    Traceback (most recent call last):
    ValueError: search_space.ops ([skip, skip]) must be different, and at least one; use e.g. [skip]
    """
    known = list(known)
    for name in names:
        one_of(key, name, known)
    if not names or len(set(names)) < len(names):
        use = listed(dict.fromkeys(names or known))
        raise ValueError(
            f"{key} ({listed(names)}) must be different, and at least one; use e.g. {use}"
        )


def check_sizes(key: str, sizes: Sequence[int], use: Sequence[int], odd: bool = False) -> None:
    """Refuses a repeated size, one below 1 or even where it must be odd, or an empty list.

    Raises:
        ValueError: the sizes are no such list; `use` is suggested.

    >>> check_sizes("search_space.kernels", [3, 4], use=[3, 5], odd=True)
    Traceback (most recent call last):
    ValueError: search_space.kernels ([3, 4]) must be different odd numbers >= 1; use e.g. [3, 5]
    """
    are_right = all(size >= 1 and (size % 2 or not odd) for size in sizes)
    if not sizes or not are_right or len(set(sizes)) < len(sizes):
        rule = f"different {'odd ' if odd else ''}numbers >= 1"
        raise ValueError(f"{key} ({listed(sizes)}) must be {rule}; use e.g. {listed(use)}")


def listed(values: Iterable[object]) -> str:
    """Returns values as a command line has them, e.g. [3, 5]."""
    return f"[{', '.join(map(str, values))}]"
