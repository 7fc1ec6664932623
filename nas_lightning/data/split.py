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

    Classes, int64 (N,), are their own strata; of several labels, float (N, K) of 0 and 1, it is the
    rarest; of numbers, float (N, K), the tenth that the first one belongs to.
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
    """Returns sorted indices of two disjoint parts: the rest, and a share in (0, 1) of each class.

    Of each class, int64 (N,), the first part has at least `keep` images, or all; the second at
    least one, if there are more. The draw depends on the key alone, e.g. (seed, "split").
    """
    in_range("data.validation_share", share, "(0, 1)", use=0.5)
    totals = torch.bincount(labels).tolist()
    wanted = apportion(totals, round(share * len(labels)))
    pairs = zip(wanted, totals, strict=True)
    counts = [min(max(count, 1), max(total - keep, 0)) for count, total in pairs]
    part = _draw(labels, counts, key)
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[part] = False
    return rest.nonzero().squeeze(1), part


def stratified_subset(labels: Tensor, size: int, key: Sequence[int | str]) -> Tensor:
    """Returns sorted indices (size,), size in [1, N], that keep the shares of classes (N,)."""
    return _draw(labels, apportion(torch.bincount(labels).tolist(), size), key)


def apportion(totals: Sequence[int], size: int) -> list[int]:
    """Returns a size divided among classes by their totals: largest remainder, first of equals.

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
        chosen.append(of_class[torch.randperm(len(of_class), generator=generator)[:count]])
    return torch.cat(chosen).sort().values
