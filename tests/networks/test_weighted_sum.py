import torch

from nas_lightning.networks.kernels import weighted_sum


def draw(number, needs_weights=True, needs_terms=True):
    rng = torch.Generator().manual_seed(number)
    weights = torch.randn(number, generator=rng, dtype=torch.float64).unbind()
    terms = torch.randn(number, 2, 2, 3, 3, generator=rng, dtype=torch.float64).unbind()
    return (
        [w.clone().requires_grad_(needs_weights) for w in weights],
        [t.clone().requires_grad_(needs_terms) for t in terms],
    )


def plain(weights, terms):
    return sum(w * t for w, t in zip(weights, terms, strict=True))


def test_values_are_the_weighted_sum():
    weights, terms = draw(4)
    # a fused multiply-add rounds once where the plain sum rounds twice
    torch.testing.assert_close(weighted_sum(weights, terms), plain(weights, terms), rtol=1e-14,
                               atol=1e-15)  # fmt: skip


def test_a_single_term_is_weighted_to_the_bit():
    weights, terms = draw(1)
    assert torch.equal(weighted_sum(weights, terms), weights[0] * terms[0])


def test_gradients_are_those_of_the_plain_sum():
    weights, terms = draw(3)
    found = torch.autograd.grad((weighted_sum(weights, terms) ** 2).sum(), [*weights, *terms])
    wanted = torch.autograd.grad((plain(weights, terms) ** 2).sum(), [*weights, *terms])
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_derivatives_of_both_orders_are_those_of_finite_differences():
    weights, terms = draw(3)

    def function(*inputs):
        return weighted_sum(inputs[:3], inputs[3:])

    assert torch.autograd.gradcheck(function, (*weights, *terms))
    assert torch.autograd.gradgradcheck(function, (*weights, *terms))


def test_fixed_weights_keep_no_terms_for_the_backward_pass():
    weights, terms = draw(3, needs_weights=False)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.dim()) or x, lambda x: x):
        out = weighted_sum(weights, terms)
    assert kept == [0, 0, 0]
    found = torch.autograd.grad(out.sum(), terms)
    wanted = [torch.full_like(t, float(w)) for w, t in zip(weights, terms, strict=True)]
    assert all(torch.equal(f, w) for f, w in zip(found, wanted, strict=True))


def test_terms_without_gradient_still_give_one_to_their_weights():
    weights, terms = draw(3, needs_terms=False)
    found = torch.autograd.grad(weighted_sum(weights, terms).sum(), weights)
    torch.testing.assert_close(torch.stack(found), torch.stack([t.sum() for t in terms]))


def test_terms_are_left_as_they_were():
    weights, terms = draw(3)
    before = [term.clone() for term in terms]
    weighted_sum(weights, terms)
    assert all(torch.equal(b, t) for b, t in zip(before, terms, strict=True))
