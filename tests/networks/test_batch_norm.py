import pytest
import torch
from torch import nn

from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import (
    BatchNorm,
    Norm,
    batch_norms,
    is_synchronised,
    kept_state,
    settle,
    still_statistics,
    synchronise,
)


def images(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return 3.0 + 2.0 * torch.randn(4, 3, 5, 5, generator=rng)


def network():
    torch.manual_seed(0)
    return nn.Sequential(BatchNorm(3), nn.Conv2d(3, 4, 1), BatchNorm(4, affine=False))


def buffers_of(module):
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("affine", [True, False])
def test_training_and_evaluation_are_torchs_to_the_bit(affine):
    mine, theirs = BatchNorm(3, affine), nn.BatchNorm2d(3, affine=affine)
    for step in range(3):
        assert torch.equal(mine(images(step)), theirs(images(step)))
    mine.eval(), theirs.eval()
    assert torch.equal(mine(images(9)), theirs(images(9)))
    assert torch.equal(mine.running_mean, theirs.running_mean)
    assert torch.equal(mine.running_var, theirs.running_var)


def test_eps_and_momentum_are_the_papers():
    norm = BatchNorm(3)
    assert (norm.eps, norm.momentum) == (1e-5, 0.1)


def test_still_statistics_keep_buffers_and_outputs_to_the_bit():
    moving, still = network(), network()
    before = buffers_of(still)
    with still_statistics(batch_norms(still)):
        found = still(images())
    assert torch.equal(found, moving(images()))
    assert same(before, buffers_of(still))
    assert not same(before, buffers_of(moving))


def test_still_statistics_give_the_same_gradients():
    moving, still = network(), network()
    with still_statistics(batch_norms(still)):
        loss = (still(images()) ** 3).sum()
    found = torch.autograd.grad(loss, list(still.parameters()))
    wanted = torch.autograd.grad((moving(images()) ** 3).sum(), list(moving.parameters()))
    assert all(torch.equal(f, w) for f, w in zip(found, wanted, strict=True))


def test_statistics_move_again_after_the_block_even_if_it_failed():
    norms = network()
    before = buffers_of(norms)
    with pytest.raises(RuntimeError, match="inside"), still_statistics(batch_norms(norms)):
        raise RuntimeError("inside")
    norms(images())
    assert not same(before, buffers_of(norms))


def disturb_and_fail(norms):
    with kept_state(norms):
        norms[0].momentum = 1.0
        norms.train()(images())
        norms.train(not norms.training)
        raise RuntimeError("inside")


@pytest.mark.parametrize("training", [True, False])
def test_a_kept_state_is_restored_even_if_the_block_failed(training):
    norms = network().train(training)
    before = buffers_of(norms)
    with pytest.raises(RuntimeError, match="inside"):
        disturb_and_fail(norms)
    assert same(before, buffers_of(norms))
    assert (norms.training, norms[0].momentum) == (training, 0.1)


def test_of_a_kept_state_some_norms_stand_still_and_the_others_are_restored():
    norms = network().eval()
    before = buffers_of(norms)
    with kept_state(norms, [norms[0]]):
        norms.train()(images())
        inside = buffers_of(norms)
    assert {name[0] for name in before if not torch.equal(before[name], inside[name])} == {"2"}
    assert same(before, buffers_of(norms))
    assert not norms.training


def test_still_statistics_do_not_matter_in_evaluation():
    norms = network().eval()
    outside = norms(images())
    with still_statistics(batch_norms(norms)):
        assert torch.equal(norms(images()), outside)


def test_a_fixed_norm_uses_running_statistics_and_never_moves_them():
    norm = BatchNorm(3, fixed=True)
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(4.0)
    before = buffers_of(norm)
    found = norm.train()(images())
    torch.testing.assert_close(found, (images() - 2.0) / (4.0 + 1e-5) ** 0.5)
    assert torch.equal(found, norm.eval()(images()))
    assert same(before, buffers_of(norm))


def test_a_fixed_norm_treats_samples_apart():
    norm = BatchNorm(3, fixed=True)
    torch.testing.assert_close(norm(images())[:2], norm(images()[:2]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("flavour", "batch_norm", "wanted"),
    [
        ("search", "batch", Norm(affine=False, after_pools=True, fixed=False)),
        ("child", "batch", Norm(affine=True, after_pools=False, fixed=False)),
        ("search", "fixed", Norm(affine=False, after_pools=True, fixed=True)),
    ],
)
def test_a_scale_names_the_flavour(flavour, batch_norm, wanted):
    assert Norm.of(Scale(flavour=flavour, batch_norm=batch_norm)) == wanted


def test_norms_outside_cells_are_affine_in_both_flavours():
    norm = Norm.of(Scale(flavour="search", batch_norm="fixed"))
    assert norm(3).weight is None
    assert norm.always_affine(3).weight.shape == (3,)
    assert norm.always_affine(3).fixed


def test_batch_norms_lists_those_that_can_be_kept_still():
    assert [norm.num_features for norm in batch_norms(network())] == [3, 4]


def test_statistics_settle_as_the_mean_of_the_first_batches():
    norm = BatchNorm(3)
    batches = [torch.randn(5, 3, 4, 4) + step for step in range(4)]
    for step, batch in enumerate(batches):
        settle([norm], step)
        norm(batch)
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches])
    torch.testing.assert_close(norm.running_mean, means.mean(dim=0))
    settle([norm], 50)
    assert norm.momentum == 0.1


def test_a_norm_of_torchs_own_cannot_be_synchronised():
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    synchronise([ours], True)
    assert is_synchronised([theirs, ours])
    synchronise([ours, theirs], False)
    assert not is_synchronised([theirs, ours])
    message = (
        r"sync_batchnorm=true cannot synchronise torch's BatchNorm2d; use nas_lightning\.networks"
    )
    with pytest.raises(ValueError, match=message):
        synchronise([theirs], True)
