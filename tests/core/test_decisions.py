from collections import Counter
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_lightning.core.decisions import (
    Decision,
    active_choices,
    canonical,
    complete,
    count,
    decode,
    encode,
    mutate,
    sample,
)

SMALL = settings(derandomize=True, deadline=None, database=None, max_examples=60)

# "deep" needs two earlier decisions at once, "leaf" hangs on a decision that itself may be absent.
TREE = (
    Decision("root", ("a", "b", "c"), "op"),
    Decision("free", ("x", "y"), "input"),
    Decision("deep", ("1", "2", "3"), "op", given=(("root", ("a", "b")), ("free", ("x",)))),
    Decision("leaf", ("l", "m", "n", "o"), "op", given=(("deep", ("1",)),)),
    Decision("apart", ("only",), "skip"),
)


def brute_force(decisions):
    """Every genotype, by filtering all assignments, None standing for an inactive decision."""
    found = []
    for values in product(*[(*d.options, None) for d in decisions]):
        assigned = {d.name: value for d, value in zip(decisions, values, strict=True)}
        active = [all(assigned[n] in options for n, options in d.given) for d in decisions]
        if all((v is not None) == on for v, on in zip(values, active, strict=True)):
            found.append({name: value for name, value in assigned.items() if value is not None})
    return found


@st.composite
def conditional_sets(draw):
    decisions = []
    for index in range(draw(st.integers(1, 5))):
        options = tuple(f"o{i}" for i in range(draw(st.integers(1, 3))))
        parents = draw(st.lists(st.sampled_from(decisions), max_size=2)) if decisions else []
        conditions = [
            (p.name, tuple(draw(st.lists(st.sampled_from(p.options), min_size=1, unique=True))))
            for p in parents
        ]
        decisions.append(Decision(f"d{index}", options, "op", tuple(conditions)))
    return tuple(decisions)


@SMALL
@given(conditional_sets())
def test_count_is_the_number_of_genotypes(decisions):
    assert count(decisions) == len(brute_force(decisions))


def test_count_is_exact_where_enumeration_is_out_of_reach():
    chain = [Decision("d0", ("stop", "go", "run"), "op")]
    for index in range(1, 80):
        before = ((f"d{index - 1}", ("go", "run")),)
        chain.append(Decision(f"d{index}", ("stop", "go", "run"), "op", given=before))
    assert count(chain) == 2 ** (80 + 1) - 1  # 2**k ways to stop at decision k, 2**80 not to


@SMALL
@given(conditional_sets(), st.integers(0, 100))
def test_samples_are_genotypes_in_the_order_of_the_decisions(decisions, seed):
    drawn = sample(decisions, Random(seed))
    assert drawn in brute_force(decisions)
    assert list(drawn) == list(canonical(decisions, drawn))


def test_samples_are_uniform_over_genotypes_not_over_options():
    genotypes, draws, rng = brute_force(TREE), 6000, Random(0)
    seen = Counter(tuple(sample(TREE, rng).items()) for _ in range(draws))
    expected = draws / len(genotypes)
    statistic = sum((seen[tuple(g.items())] - expected) ** 2 / expected for g in genotypes)
    assert len(genotypes) == 16
    assert statistic < 44.3  # the 0.9999 quantile of chi-square with 15 degrees of freedom


def test_the_same_seed_draws_the_same_genotype():
    assert sample(TREE, Random(5)) == sample(TREE, Random(5))


def hangs_on(decisions, name):
    """The decisions whose being active depends on one decision, directly or not."""
    found = {name}
    for decision in decisions:
        if any(parent in found for parent, _ in decision.given):
            found.add(decision.name)
    return found - {name}


@SMALL
@given(conditional_sets(), st.integers(0, 100))
def test_mutation_changes_one_decision_and_what_hangs_on_it(decisions, seed):
    rng = Random(seed)
    before = sample(decisions, rng)
    if all(len(d.options) == 1 for d in decisions if d.name in before):
        return
    after = mutate(decisions, before, rng)
    assert after == canonical(decisions, after)
    changed = [name for name in before if name in after and before[name] != after[name]]
    assert len(changed) == 1
    assert set(before) ^ set(after) <= hangs_on(decisions, changed[0])


def test_mutation_reaches_every_neighbour():
    before = {"root": "a", "free": "x", "deep": "1", "leaf": "l", "apart": "only"}
    rng = Random(0)
    reached = {tuple(mutate(TREE, before, rng).items()) for _ in range(500)}
    wanted = [
        *({**before, "leaf": leaf} for leaf in "mno"),
        *({"root": "a", "free": "x", "deep": deep, "apart": "only"} for deep in "23"),
        {"root": "a", "free": "y", "apart": "only"},
        {**before, "root": "b"},
        {"root": "c", "free": "x", "apart": "only"},
    ]
    assert reached == {tuple(genotype.items()) for genotype in wanted}


def test_mutation_draws_the_decisions_that_become_active():
    before, rng = {"root": "c", "free": "x", "apart": "only"}, Random(0)
    mutants = [mutate(TREE, before, rng) for _ in range(300)]
    assert {m["deep"] for m in mutants if m["root"] != "c"} == {"1", "2", "3"}


def test_mutation_of_a_space_without_alternatives_is_refused():
    only = (Decision("apart", ("only",), "skip"),)
    with pytest.raises(ValueError, match="nothing to mutate: every active decision has a single"):
        mutate(only, {"apart": "only"}, Random(0))


@SMALL
@given(conditional_sets(), st.integers(0, 100))
def test_crossover_inherits_every_decision_that_a_parent_makes(decisions, seed):
    rng = Random(seed)
    first, second = sample(decisions, rng), sample(decisions, rng)
    child = complete(decisions, [first, second], rng)
    assert child == canonical(decisions, child)
    for name in set(child) & (set(first) | set(second)):
        assert child[name] in {first.get(name), second.get(name)}


def test_crossover_mixes_parents_and_draws_what_neither_decided():
    first = {"root": "a", "free": "y", "apart": "only"}
    second = {"root": "c", "free": "x", "apart": "only"}
    rng = Random(0)
    children = [complete(TREE, [first, second], rng) for _ in range(300)]
    pairs = {(child["root"], child["free"]) for child in children}
    assert pairs == {("a", "x"), ("a", "y"), ("c", "x"), ("c", "y")}
    drawn = {child["deep"] for child in children if (child["root"], child["free"]) == ("a", "x")}
    assert drawn == {"1", "2", "3"}


def test_completion_keeps_what_is_proposed_and_leaves_out_what_is_inactive():
    proposal = {"root": "c", "free": "x", "deep": "1", "leaf": "m"}
    assert complete(TREE, [proposal], Random(0)) == {"root": "c", "free": "x", "apart": "only"}


@SMALL
@given(conditional_sets())
def test_codes_are_different_and_decode_to_their_genotypes(decisions):
    genotypes = brute_force(decisions)
    codes = [encode(decisions, genotype) for genotype in genotypes]
    assert [decode(decisions, code) for code in codes] == genotypes
    assert len(set(codes)) == len(genotypes)


def test_a_code_marks_inactive_decisions():
    assert encode(TREE, {"root": "c", "free": "y", "apart": "only"}) == (2, 1, -1, -1, 0)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ((0, 0), "a code has 5 entries here, got 2"),
        ((3, 0, 0, 0, 0), "entry 3 of decision 'root' must be -1 or below 3"),
        ((0, -2, 0, 0, 0), "entry -2 of decision 'free' must be -1 or below 2"),
        ((0, 0, -1, -1, 0), "decision 'deep' is missing; choose from: 1, 2, 3"),
        ((2, 0, 1, -1, 0), r"decision 'deep' \('2'\) has no effect beside the other choices"),
    ],
)
def test_a_code_of_no_genotype_is_refused(code, message):
    with pytest.raises(ValueError, match=message):
        decode(TREE, code)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": "x"}, "unknown decision 'surprise'; the space has: apart, deep, free, leaf"),
        ({"root": None}, "decision 'root' is missing; choose from: a, b, c"),
        ({"deep": "1"}, r"decision 'deep' \('1'\) has no effect beside .*; leave it out"),
        ({"root": "d"}, "unknown option 'd' of decision 'root'; choose from: a, b, c"),
    ],
)
def test_choices_of_no_genotype_are_refused(change, message):
    chosen = {"root": "c", "free": "x", "apart": "only"} | change
    chosen = {name: option for name, option in chosen.items() if option is not None}
    with pytest.raises(ValueError, match=message):
        canonical(TREE, chosen)


def test_a_long_list_of_options_is_cut_in_a_message():
    wide = (Decision("wide", tuple(f"o{i}" for i in range(30)), "op"),)
    with pytest.raises(ValueError, match=r"o19, \.\.\. \(30 in all\)$"):
        canonical(wide, {"wide": "x"})


def test_choices_without_effect_are_left_out():
    decisions = (
        Decision("a", ("no", "yes"), "skip"),
        Decision("b", ("1", "2"), "size", (("a", ("yes",)),)),
        Decision("c", ("1", "2"), "size", (("b", ("2",)),)),
    )
    assert active_choices(decisions, {"a": "no", "b": "2", "c": "1"}) == {"a": "no"}
    assert active_choices(decisions, {"a": "yes", "b": "2", "c": "1"}) == {
        "a": "yes",
        "b": "2",
        "c": "1",
    }
