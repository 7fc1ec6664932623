import torch

from nas_lightning.networks.draws import NormalDraws
from nas_lightning.networks.operations import Noise
from nas_lightning.networks.state import State

LIKE = torch.zeros(1)


def draws_of(seed, number=200_000):
    torch.manual_seed(seed)
    return NormalDraws()(LIKE, number)


def test_draws_are_standard_normal():
    draws = draws_of(0).double()
    wanted = torch.distributions.Normal(0.0, 1.0)
    grid = torch.linspace(-3.5, 3.5, 71)
    shares = torch.searchsorted(draws.sort().values.float(), grid) / len(draws)
    distance = (shares - wanted.cdf(grid)).abs().max()
    assert distance < 1.95 / len(draws) ** 0.5  # Kolmogorov-Smirnov, one in a thousand
    assert abs(float((draws**4).mean()) - 3.0) < 4 * (96 / len(draws)) ** 0.5


def test_draws_of_one_stream_and_of_two_are_uncorrelated():
    first, second = draws_of(0), draws_of(1)
    pairs = [(first, second), (first[1:], first[:-1]), (first[64:], first[:-64])]
    shares = [float((a * b).mean()) * len(a) ** 0.5 for a, b in pairs]
    assert max(map(abs, shares)) < 4  # standard deviations


def test_training_goes_on_from_where_the_last_draws_ended():
    torch.manual_seed(0)
    one, two = NormalDraws(), NormalDraws()
    two.load_state_dict(one.state_dict())
    parts = [one(LIKE, 3), one(LIKE, 2, 2)]
    assert torch.equal(torch.cat([part.flatten() for part in parts]), two(LIKE, 7))


def test_evaluation_starts_at_the_same_place_and_leaves_it():
    draws = NormalDraws().eval()
    before = int(draws.position)
    assert torch.equal(draws(LIKE, 5), draws(LIKE, 5))
    assert int(draws.position) == before


def test_a_checkpoint_goes_on_with_the_same_draws():
    torch.manual_seed(0)
    op, x = Noise(stride=1), State(torch.zeros(2, 3, 4, 4))
    op(x)
    saved = {name: tensor.clone() for name, tensor in op.state_dict().items()}
    wanted, other = op(x), Noise(stride=1)
    other.load_state_dict(saved)
    assert torch.equal(other(x), wanted)
    assert not torch.equal(other(x), wanted)


def test_noise_reads_the_size_and_the_type_of_its_input_alone():
    x = torch.full((2, 3, 7, 4), float("nan"), dtype=torch.float64)
    found = Noise(stride=2)(State(x))
    assert (found.shape, found.dtype) == ((2, 3, 4, 2), torch.float64)
    assert found.isfinite().all()
