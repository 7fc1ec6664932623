"""Families of which the default suite tests a few that differ in kind, and `make test-all` all."""

import pytest

# Their own files test in what they differ from darts or gdas; a new option is tested by default.
STRATEGIES_LIKE_OTHERS = (
    "beta_darts",
    "darts_minus",
    "lambda_darts",
    "oles",
    "perturbation",
    "robust_darts",
    "sdarts",
    "snas",
    "tangle",
)
# Other operations in the space of darts, and more of them in that of enas_micro.
SPACES_LIKE_OTHERS = ("darts_s2", "darts_s3", "darts_s4", "darts_setn", "nasnet")


def name_of(case):
    return getattr(case, "stem", str(case))


def some_slow(cases, *slow):
    """Returns the cases as parameters with their names; those of these names are slow."""
    assert set(slow) <= {*map(name_of, cases)}
    return [
        pytest.param(case, marks=pytest.mark.slow if name_of(case) in slow else (),
                     id=name_of(case))
        for case in cases
    ]  # fmt: skip


def rest_slow(cases, *few):
    """Returns the cases as parameters with their names; but for those of these names all slow."""
    assert set(few) <= {*map(name_of, cases)}
    return some_slow(cases, *(name for name in map(name_of, cases) if name not in few))
