"""What operators save for their gradients, made smaller: the same gradients to the bit."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F

from nas_lightning.networks.saved_tensors import narrow_places, recomputed, relu_beside


def images():
    rng = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 4, generator=rng, dtype=torch.float64, requires_grad=True)


def two_readers(x, calls=None):
    """A tensor that two operators save, kept or (where calls are counted) computed anew."""
    made = x * 2.0
    kept = x.detach()

    def compute():
        calls.append(1)
        return kept * 2.0

    with nullcontext() if calls is None else recomputed(made, compute):
        return (made.sigmoid() * made * made.sin()).sum()


def test_a_recomputed_tensor_gives_the_same_gradients_to_the_bit():
    x, calls = images(), []
    (found,) = torch.autograd.grad(two_readers(x, calls), x)
    (wanted,) = torch.autograd.grad(two_readers(x), x)
    assert torch.equal(found, wanted)


def test_its_gradients_can_be_differentiated_and_taken_twice():
    x = images()
    for order in range(2):
        firsts = []
        for calls in ([], None):
            (first,) = torch.autograd.grad(two_readers(x, calls), x, create_graph=True)
            firsts.append(torch.autograd.grad((first**2).sum(), x, retain_graph=bool(order))[0])
        assert torch.equal(*firsts)


def test_it_is_computed_once_for_all_that_read_it_and_not_kept():
    x, calls = images(), []
    loss = two_readers(x, calls)
    torch.autograd.grad(loss, x, retain_graph=True)
    assert len(calls) == 1
    torch.autograd.grad(loss, x)
    assert len(calls) == 2


@pytest.mark.parametrize(("side", "dtype"), [(4, torch.int16), (200, torch.int32)])
def test_a_pools_places_are_saved_narrower_and_give_the_same_gradient(side, dtype):
    x = torch.randn(1, 1, side, side, requires_grad=True)
    (wanted,) = torch.autograd.grad((F.max_pool2d(x, 3, 1, 1) ** 2).sum(), x)
    with narrow_places(x):
        out = F.max_pool2d(x, 3, 1, 1)
    assert torch.equal(torch.autograd.grad((out**2).sum(), x)[0], wanted)
    last = torch.tensor([side**2 - 1])
    assert narrow_places(x).pack_hook(last).dtype == dtype
    assert torch.equal(narrow_places(x).unpack_hook(narrow_places(x).pack_hook(last)), last)


def test_copies_of_a_relu_side_by_side_have_derivatives_of_both_orders():
    assert torch.equal(relu_beside(images(), 2), torch.cat([F.relu(images())] * 2, dim=1))
    assert torch.autograd.gradcheck(lambda x: relu_beside(x, 3), images())
    assert torch.autograd.gradgradcheck(lambda x: relu_beside(x, 3) ** 2, images())
