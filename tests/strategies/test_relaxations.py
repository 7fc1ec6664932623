from math import exp, log

import pytest
import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.strategies.relaxations import is_even, masked_softmax, mean_entropy

ALPHA = torch.tensor([[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]], dtype=torch.float64)
ALLOWED = torch.tensor([[True, False, True], [True, True, True]])


@pytest.mark.parametrize(
    ("weights", "support", "even"),
    [
        ([[0.5, 0.5], [0.5, 0.5]], ((0, 1), (0, 1)), True),
        ([[0.5, 0.5], [0.4, 0.6]], ((0, 1), (0, 1)), False),
        ([[0.0, 1.0], [0.5, 0.5]], ((1,), (0, 1)), True),
        ([[0.0, 1.0], [1.0, 0.0]], ((1,), (0,)), False),  # all is decided
    ],
)
def test_what_is_even_prefers_nothing(weights, support, even):
    assert is_even(Mixture(torch.tensor(weights), support)) is even


def test_the_softmax_is_taken_over_the_allowed_options():
    found = masked_softmax(ALPHA, ALLOWED)
    first = 1 + exp(2.0)
    second = exp(3.0) + exp(-1.0) + exp(0.5)
    wanted = [
        [1 / first, 0.0, exp(2.0) / first],
        [exp(3.0) / second, exp(-1.0) / second, exp(0.5) / second],
    ]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


def test_an_option_that_is_not_allowed_weighs_exactly_zero_and_gets_no_gradient():
    alpha = ALPHA.clone().requires_grad_()
    found = masked_softmax(alpha, ALLOWED)
    (gradient,) = torch.autograd.grad((found**2).sum(), alpha)
    assert found[0, 1] == 0
    assert gradient[0, 1] == 0
    assert (gradient[ALLOWED] != 0).all()


def test_gradients_are_those_of_finite_differences():
    alpha = ALPHA.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: masked_softmax(a, ALLOWED), (alpha,))
    assert torch.autograd.gradgradcheck(lambda a: masked_softmax(a, ALLOWED), (alpha,))


def test_a_single_allowed_option_weighs_one():
    only = torch.tensor([[False, True, False]])
    assert masked_softmax(ALPHA[:1], only).tolist() == [[0.0, 1.0, 0.0]]


def test_large_logits_do_not_overflow():
    found = masked_softmax(torch.tensor([[1e30, 0.0]]), torch.ones(1, 2, dtype=torch.bool))
    assert found.tolist() == [[1.0, 0.0]]


def test_leading_axes_are_cells():
    stack = torch.stack([ALPHA, -ALPHA])
    found = masked_softmax(stack, ALLOWED)
    assert torch.equal(found[1], masked_softmax(-ALPHA, ALLOWED))


@pytest.mark.parametrize(
    ("weights", "entropy"),
    [
        ([[0.5, 0.0, 0.5], [1 / 3, 1 / 3, 1 / 3]], 1.0),
        ([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], 0.0),
        ([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], 0.5),
        ([[2.0, 0.0, 2.0], [7.0, 7.0, 7.0]], 1.0),
        ([[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]],
         -(0.25 * log(0.25) + 0.75 * log(0.75)) / log(2) / 2),
    ],
)  # fmt: skip
def test_entropy_is_a_share_of_its_largest_value_on_average(weights, entropy):
    found = mean_entropy(torch.tensor(weights, dtype=torch.float64), ALLOWED)
    assert float(found) == pytest.approx(entropy, abs=1e-12)


def test_choices_that_are_made_are_left_out_of_the_entropy():
    allowed = torch.tensor([[True, False, False], [True, True, True]])
    weights = torch.tensor([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert float(mean_entropy(weights, allowed)) == pytest.approx(1.0)


def test_the_entropy_is_zero_where_every_choice_has_a_single_option():
    only = torch.ones(2, 1, dtype=torch.bool)
    assert float(mean_entropy(torch.ones(2, 1), only)) == 0.0
