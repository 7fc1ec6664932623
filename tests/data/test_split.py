"""Splits are stratified, disjoint, seeded and stable."""

import pytest
import torch

from nas_lightning.data.split import (
    apportion,
    keyed_generator,
    split_hash,
    stratified_split,
    stratified_subset,
)

LABELS = torch.tensor([0] * 40 + [1] * 20 + [2] * 10)


def test_a_split_is_disjoint_and_complete() -> None:
    rest, part = stratified_split(LABELS, 0.3, (0, "split"))
    assert torch.cat([rest, part]).sort().values.tolist() == list(range(70))


def test_a_split_keeps_the_classes_shares() -> None:
    _, part = stratified_split(LABELS, 0.3, (0, "split"))
    assert torch.bincount(LABELS[part]).tolist() == [12, 6, 3]


def test_odd_classes_do_not_shift_the_size_of_a_half() -> None:
    rest, part = stratified_split(torch.tensor([0, 1, 2, 3] * 5), 0.5, (0, "split"))
    assert (len(rest), len(part)) == (10, 10)


def test_a_rare_class_is_in_both_parts() -> None:
    labels = torch.tensor([0] * 100 + [1] * 2)
    rest, part = stratified_split(labels, 0.01, (0, "split"))
    assert (int((labels[rest] == 1).sum()), int((labels[part] == 1).sum())) == (1, 1)


def test_the_same_key_gives_the_same_split() -> None:
    first, again = (stratified_split(LABELS, 0.5, (3, "split"))[1] for _ in range(2))
    assert torch.equal(first, again)


def test_another_seed_gives_another_split() -> None:
    first, other = (stratified_split(LABELS, 0.5, (seed, "split"))[1] for seed in (3, 4))
    assert not torch.equal(first, other)


def test_the_hash_is_the_sha256_of_lengths_and_indices() -> None:
    # hashlib.sha256(pack("<qqqqq", 2, 0, 2, 1, 1)).hexdigest()[:16], computed apart.
    assert split_hash([torch.tensor([0, 2]), torch.tensor([1])]) == "5898622a490e7300"


def test_the_hash_depends_on_where_the_parts_are_divided() -> None:
    one = split_hash([torch.tensor([0, 1]), torch.tensor([2])])
    assert one != split_hash([torch.tensor([0]), torch.tensor([1, 2])])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"data.validation_share \({share}\) must be in \(0, 1\)"):
        stratified_split(LABELS, share, (0, "split"))


def test_a_subset_keeps_the_classes_shares() -> None:
    subset = stratified_subset(LABELS, 14, (0, "subset"))
    assert torch.bincount(LABELS[subset]).tolist() == [8, 4, 2]


def test_apportioned_counts_sum_to_the_size() -> None:
    assert [sum(apportion([7, 5, 3], size)) for size in range(16)] == list(range(16))


def test_drawing_by_key_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    torch.rand(3, generator=keyed_generator(0, "any"))
    assert torch.equal(torch.random.get_rng_state(), before)
