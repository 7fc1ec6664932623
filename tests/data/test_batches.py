"""Order and augmentation are keyed, and divided among processes."""

import pytest
import torch
from torch import Tensor

from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.batches import (
    LabelledImages,
    OrderedBatches,
    PairedBatches,
    Place,
    Reader,
    ShuffledBatches,
)
from nas_lightning.data.image_store import WorkerReader
from nas_lightning.data.images import MemoryImages
from nas_lightning.data.normalisation import Normalisation

CPU = torch.device("cpu")
NUM = 50
LABELS = torch.arange(NUM)
NORMALISE = Normalisation((0.5, 0.4), (0.2, 0.3))


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (NUM, 2, 8, 9), generator=generator, dtype=torch.uint8)


@pytest.fixture
def read(pixels: Tensor) -> Reader:
    return MemoryImages(pixels).batches


def shuffled(
    read: Reader,
    *,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    batch_size: int = 16,
    num_batches: int | None = None,
    mixup: float = 0.0,
) -> ShuffledBatches:
    return ShuffledBatches(
        LabelledImages(read, LABELS, NORMALISE, NUM),
        torch.arange(5, 45),
        Place(CPU, rank, world),
        key=(seed, "train"),
        batch_size=batch_size,
        augmentation=Augmentation(crop_padding=2, flip=True, cutout=3, mixup=mixup),
        num_batches=num_batches,
    )


def ordered(read: Reader, *, rank: int = 0, world: int = 1) -> OrderedBatches:
    images = LabelledImages(read, LABELS, NORMALISE, NUM)
    return OrderedBatches(images, LABELS, Place(CPU, rank, world), most=16)


def epoch(batches: ShuffledBatches, number: int) -> tuple[Tensor, Tensor]:
    batches.set_epoch(number)
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_an_epoch_holds_each_image_once_but_for_the_last_short_batch(read: Reader) -> None:
    _, labels = epoch(shuffled(read), 0)
    assert (len(labels), len(set(labels.tolist()))) == (32, 32)
    assert set(labels.tolist()) <= set(range(5, 45))


def test_epochs_differ_in_order(read: Reader) -> None:
    batches = shuffled(read)
    assert not torch.equal(epoch(batches, 0)[1], epoch(batches, 1)[1])


def test_seeds_differ_in_order(read: Reader) -> None:
    one, other = shuffled(read, seed=0), shuffled(read, seed=1)
    assert not torch.equal(epoch(one, 0)[1], epoch(other, 0)[1])


def test_a_fresh_object_at_an_epoch_gives_the_bits_of_one_that_ran_through(read: Reader) -> None:
    through = shuffled(read)
    for number in range(3):
        epoch(through, number)
    images, labels = epoch(through, 3)
    fresh_images, fresh_labels = epoch(shuffled(read), 3)
    assert torch.equal(labels, fresh_labels)
    assert torch.equal(images, fresh_images)


def test_an_iterator_made_before_set_epoch_gives_the_epoch_that_was_set(read: Reader) -> None:
    batches = shuffled(read)
    expected = epoch(batches, 2)[1][:16]
    batches.set_epoch(0)
    iterator = iter(batches)
    batches.set_epoch(2)
    assert torch.equal(next(iterator)[1], expected)


def test_the_parts_of_two_processes_make_the_whole_batch(read: Reader) -> None:
    parts = [list(shuffled(read, rank=rank, world=2)) for rank in range(2)]
    for number, (images, labels) in enumerate(shuffled(read)):
        assert torch.equal(torch.cat([part[number][0] for part in parts]), images)
        assert torch.equal(torch.cat([part[number][1] for part in parts]), labels)


def test_a_batch_that_the_processes_cannot_share_evenly_is_refused(read: Reader) -> None:
    with pytest.raises(ValueError, match=r"batch_size \(15\) must be a multiple .* \(2\); .* 16"):
        shuffled(read, batch_size=15, world=2)


def test_a_longer_epoch_begins_another_round(read: Reader) -> None:
    _, labels = epoch(shuffled(read, batch_size=20, num_batches=4), 0)
    assert torch.bincount(labels)[5:45].tolist() == [2] * 40
    assert not torch.equal(labels[:40], labels[40:])


def test_mixed_images_are_shares_of_two_and_so_are_their_targets(read: Reader) -> None:
    plain, labels = next(iter(shuffled(read)))
    mixed, targets = next(iter(shuffled(read, mixup=1.0)))
    assert targets.shape == (16, NUM)
    torch.testing.assert_close(targets.sum(1), torch.ones(16))
    share = targets[0, labels[0]]
    other = (targets[0] * (torch.arange(NUM) != labels[0])).argmax()
    expected = share * plain[0] + (1 - share) * plain[labels == other][0]
    torch.testing.assert_close(mixed[0], expected)


def test_mixed_parts_of_two_processes_make_the_whole_batch(read: Reader) -> None:
    parts = [list(shuffled(read, rank=rank, world=2, mixup=0.4)) for rank in range(2)]
    for number, whole in enumerate(shuffled(read, mixup=0.4)):
        for place in range(2):
            joined = torch.cat([part[number][place] for part in parts])
            assert torch.equal(joined, whole[place])


def test_mixing_goes_on_at_an_epoch_with_the_same_bits(read: Reader) -> None:
    through = shuffled(read, mixup=0.2)
    epoch(through, 0)
    images, targets = epoch(through, 1)
    again, same = epoch(shuffled(read, mixup=0.2), 1)
    assert torch.equal(images, again)
    assert torch.equal(targets, same)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_give_the_bits_of_memory(pixels: Tensor, read: Reader, num_workers: int) -> None:
    images, labels = epoch(shuffled(read), 1)
    by_workers = shuffled(WorkerReader(MemoryImages(pixels), CPU, num_workers))
    worker_images, worker_labels = epoch(by_workers, 1)
    assert torch.equal(images, worker_images)
    assert torch.equal(labels, worker_labels)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_no_reader_draws_from_the_global_generator(pixels: Tensor, num_workers: int) -> None:
    before = torch.random.get_rng_state()
    epoch(shuffled(MemoryImages(pixels).batches), 0)
    epoch(shuffled(WorkerReader(MemoryImages(pixels), CPU, num_workers)), 0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_batches_are_augmented_then_normalised_and_the_hole_is_zero(read: Reader) -> None:
    images, _ = epoch(shuffled(read), 0)
    has_hole = (images == 0).flatten(1).any(1)
    assert images.dtype == torch.float32
    assert bool(has_hole.all())


def test_paired_batches_have_the_length_of_training(read: Reader) -> None:
    train = shuffled(read)
    paired = PairedBatches(train, shuffled(read, seed=1, num_batches=len(train)))
    steps = list(paired)
    assert (len(paired), len(steps)) == (2, 2)
    assert sorted(steps[0]) == ["train", "val"]


def test_paired_batches_pass_the_epoch_on(read: Reader) -> None:
    train = shuffled(read)
    expected = epoch(shuffled(read), 4)[1][:16]
    paired = PairedBatches(train, shuffled(read, seed=1, num_batches=len(train)))
    paired.set_epoch(4)
    assert torch.equal(next(iter(paired))["train"][1], expected)


def test_ordered_batches_give_every_image_once_in_order(pixels: Tensor, read: Reader) -> None:
    images, labels = zip(*ordered(read), strict=True)
    assert torch.equal(torch.cat(labels), LABELS)
    assert torch.equal(torch.cat(images), NORMALISE(pixels))


def test_ordered_batches_are_of_nearly_equal_size(read: Reader) -> None:
    assert [len(labels) for _, labels in ordered(read)] == [13, 13, 12, 12]


def test_three_processes_divide_the_ordered_batches(read: Reader) -> None:
    parts = [list(ordered(read, rank=rank, world=3)) for rank in range(3)]
    labels = torch.cat([part[step][1] for step in range(4) for part in parts])
    assert torch.equal(labels, LABELS)
