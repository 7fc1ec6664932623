from random import Random

import pytest
import torch
from planted_problem.spaces import PlantedCells
from torch.func import functional_call

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import uniform_mixture

SPACE = PlantedCells()
SCALE = Scale(2, 3).of_data((6, 8, 8), 4)
MIXTURE = uniform_mixture(SPACE.choices)
ROWS, COLUMNS = MIXTURE.weights.shape
X = torch.randn(2, 6, 8, 8)


@pytest.fixture(scope="module")
def supernet():
    torch.manual_seed(0)
    return SPACE.supernet(SCALE)


@pytest.mark.parametrize("mixture", [None, MIXTURE.weights], ids=["nothing", "a tensor"])
def test_a_supernet_is_not_called_without_a_mixture(supernet, mixture):
    name = type(mixture).__name__
    message = rf"of search space '.*' must be called as supernet\(x, mixture\) .*, got {name}; use"
    with pytest.raises(TypeError, match=message):
        supernet(X, mixture)


def test_a_supernet_is_not_called_with_images_alone(supernet):
    with pytest.raises(
        TypeError, match=r"must be called as supernet\(x, mixture\) .* NoneType; use"
    ):
        supernet(X)


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        (
            Mixture(MIXTURE.weights[1:], MIXTURE.support[1:]),
            rf"must have weights \({ROWS}, {COLUMNS}\) and a support of {ROWS} choices, got "
            rf"\({ROWS - 1}, {COLUMNS}\) and {ROWS - 1}; use a mixture of this space",
        ),
        (
            Mixture(MIXTURE.weights, MIXTURE.support[1:]),
            rf"got \({ROWS}, {COLUMNS}\) and {ROWS - 1}; use a mixture of this space",
        ),
        (
            Mixture(MIXTURE.weights, (*MIXTURE.support[1:], (0, COLUMNS))),
            rf"choice {ROWS - 1} of search space '.*' has . options, but the mixture's support has "
            rf"option {COLUMNS} there; use a mixture of this space, e.g. space.mixture",
        ),
    ],
    ids=["fewer choices", "a shorter support", "more options"],
)
def test_a_mixture_of_other_choices_is_refused(supernet, mixture, message):
    with pytest.raises(ValueError, match=message):
        supernet(X, mixture)


def test_a_mixture_of_less_precision_than_the_params_is_refused():
    supernet, x = SPACE.supernet(SCALE).double(), X.double()
    message = (
        r"weights \(torch.float32\) must be as precise as .* params \(torch.float64\); use mix"
    )
    with pytest.raises(TypeError, match=message):
        supernet(x, MIXTURE)
    assert supernet(x, MIXTURE.to(x)).dtype == torch.float64


def test_a_mixture_of_more_precision_than_the_params_is_not_refused(supernet):
    assert supernet(X, MIXTURE.to(X.double())).isfinite().all()


def test_mixed_precision_takes_any_mixture(supernet):
    with torch.autocast("cpu", torch.bfloat16):
        assert supernet(X, MIXTURE.to(X.bfloat16())).isfinite().all()


def test_functional_calls_and_keywords_are_checked_too(supernet):
    params = dict(supernet.named_parameters())
    wanted = supernet.eval()(X, MIXTURE)
    assert torch.equal(functional_call(supernet, params, (X,), {"mixture": MIXTURE}), wanted)
    with pytest.raises(TypeError, match="got NoneType"):
        functional_call(supernet, params, (X,))


def test_a_child_takes_no_mixture():
    assert SPACE.child(SPACE.sample(Random(0)), SCALE)(X).shape == (2, 4)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.*autograd.function.Function.*:DeprecationWarning"
)  # torch's own
def test_a_compiled_supernet_has_one_graph_and_the_same_bits(supernet):
    compiled = torch.compile(supernet.eval(), backend="eager", fullgraph=True)
    assert torch.equal(compiled(X, MIXTURE), supernet(X, MIXTURE))
