import torch

from nas_lightning.core.surrogate import surrogate


def test_a_surrogate_has_a_value_and_the_gradients_that_are_given():
    first, second = (torch.ones(2, requires_grad=True) for _ in range(2))
    wanted = torch.tensor([0.1, float("inf")])
    value = surrogate(torch.tensor(3.0), [first, second], [wanted, None])
    grads = torch.autograd.grad(value, [first, second], allow_unused=True)
    assert value.item() == 3.0
    assert torch.equal(grads[0], wanted)
    assert grads[1] is None


def test_a_surrogate_of_nothing_has_no_gradient():
    assert not surrogate(
        torch.tensor(3.0), [torch.ones(1, requires_grad=True)], [None]
    ).requires_grad
