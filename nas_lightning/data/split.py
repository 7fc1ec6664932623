"""Seeded, stratified splits of a set of labels, and generators keyed on their purpose."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from nas_lightning.core.checks import in_range

__all__ = [
    "apportion",
    "keyed_generator",
    "split_hash",
    "strata",
    "stratified_split",
    "stratified_subset",
]


def keyed_generator(*key: int | str) -> torch.Generator:
    """Returns a CPU generator whose draws depend on the key alone.

    >>> draws = [torch.rand(1, generator=keyed_generator(7, "train", epoch)) for epoch in (0, 0, 1)]
    >>> bool(draws[0] == draws[1]), bool(draws[0] == draws[2])
    (True, False)
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def strata(labels: Tensor) -> Tensor:
    """Returns the groups whose shares a split keeps, int64 (N,), from targets of any kind.

    Classes, int64 (N,), are their own strata. Of several labels per image, float (N, K) of 0 and
    1, the rarest is the image's stratum; of numbers, float (N, K), the tenth that the first
    number belongs to.
    """
    if not labels.is_floating_point():
        return labels
    if bool(((labels == 0) | (labels == 1)).all()):
        rarity = torch.where(labels == 1, labels.sum(0), torch.inf)
        return torch.where(labels.any(1), rarity.argmin(1), labels.shape[1])
    ranks = labels[:, 0].argsort(stable=True).argsort(stable=True)
    return ranks * 10 // len(labels)


def stratified_split(
    labels: Tensor, share: float, key: Sequence[int | str], keep: int = 1
) -> tuple[Tensor, Tensor]:
    """Returns two disjoint, sorted index arrays that together hold all: the rest, and the share.

    Args:
        labels: classes or strata, int64 (N,).
        share: of each class that the second part holds, in (0, 1).
        key: what the draw depends on, e.g. (seed, "split").
        keep: images of each class that the first part has at least, if there are so many; the
            second part then has at least one of each class that has more.

    Raises: ValueError: the share is not in (0, 1).
    """
    in_range("validation_share", share, "(0, 1)", use=0.5)
    totals = torch.bincount(labels).tolist()
    wanted = apportion(totals, round(share * len(labels)))
    counts = [
        min(max(count, 1), max(total - keep, 0))
        for count, total in zip(wanted, totals, strict=True)
    ]
    part = _draw(labels, counts, key)
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[part] = False
    return rest.nonzero().squeeze(1), part


def stratified_subset(labels: Tensor, size: int, key: Sequence[int | str]) -> Tensor:
    """Returns sorted indices (size,), size in [1, N], that keep the shares of classes (N,)."""
    return _draw(labels, apportion(torch.bincount(labels).tolist(), size), key)


def apportion(totals: Sequence[int], size: int) -> list[int]:
    """Returns the size divided among classes by their totals: largest remainder, first of equals.

    >>> apportion([10, 5, 5], 6)
    [3, 2, 1]
    """
    quotas = [size * total / sum(totals) for total in totals]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(totals)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: size - sum(counts)]:
        counts[i] += 1
    return counts


def split_hash(parts: Sequence[Tensor]) -> str:
    """Returns the first 16 hex digits of the SHA-256 of index arrays and their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.to(torch.int64).numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def _draw(labels: Tensor, counts: Sequence[int], key: Sequence[int | str]) -> Tensor:
    """Returns sorted indices of counts[c] randomly chosen labels of each class c."""
    generator = keyed_generator(*key)
    chosen = []
    for label, count in enumerate(counts):
        of_class = (labels == label).nonzero().squeeze(1)
        order = torch.randperm(len(of_class), generator=generator)
        chosen.append(of_class[order[:count]])
    return torch.cat(chosen).sort().values
