"""Seeded, stratified splits of a set of labels, and the generators keyed on what they are for."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def keyed_generator(*key: int | str) -> torch.Generator:
    """A CPU generator whose draws depend on the key alone.

    >>> draws = [torch.rand(1, generator=keyed_generator(7, "train", epoch)) for epoch in (0, 0, 1)]
    >>> bool(draws[0] == draws[1]), bool(draws[0] == draws[2])
    (True, False)
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def strata(labels: Tensor) -> Tensor:
    """What a split keeps the shares of, int64 (N,), from targets of any kind.

    Args:
        labels: classes, int64 (N,), which are their own strata; several labels an image, float
            (N, K) of 0 and 1, where the rarest label of an image is; or numbers, float (N, K),
            where it is the tenth that the first number belongs to.
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
    """Two disjoint, sorted index arrays that together hold every label: the rest, and the share.

    Args:
        labels: int64 (N,).
        share: of each class that the second part holds, in (0, 1).
        key: what the draw depends on, e.g. (seed, "split").
        keep: images of each class that the first part has at least, if there are so many; the
            second part then has at least one of each class that has more.

    Returns:
        int64 (N - K,) and int64 (K,), where K is close to share * N.

    Raises:
        ValueError: if the share is not in (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"validation_share ({share}) must be in (0, 1); use e.g. 0.5")
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
    """Sorted indices (size,) of a subset with the classes' shares of the whole.

    Args:
        labels: int64 (N,).
        size: number of indices, in [1, N].
        key: what the draw depends on.
    """
    return _draw(labels, apportion(torch.bincount(labels).tolist(), size), key)


def apportion(totals: Sequence[int], size: int) -> list[int]:
    """The size divided among classes by their totals: largest remainder, the first of equals.

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
    """The first 16 hex digits of the SHA-256 of index arrays, their lengths included."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.to(torch.int64).numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def _draw(labels: Tensor, counts: Sequence[int], key: Sequence[int | str]) -> Tensor:
    """Sorted indices of counts[c] randomly chosen labels of each class c."""
    generator = keyed_generator(*key)
    chosen = []
    for label, count in enumerate(counts):
        of_class = (labels == label).nonzero().squeeze(1)
        order = torch.randperm(len(of_class), generator=generator)
        chosen.append(of_class[order[:count]])
    return torch.cat(chosen).sort().values
