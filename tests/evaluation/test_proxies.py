"""Zero-cost proxies against their definitions on tiny networks."""

from math import log, log1p

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nas_lightning.evaluation.proxies import PROXIES, WORST

X = torch.tensor([[1.0, -2.0], [0.5, 1.0], [-1.0, 3.0]])
TARGETS = torch.tensor([0, 1, 1])
FIRST = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.0, 0.3]])
LAST = torch.tensor([[1.0, -1.0, 0.5], [0.2, 0.4, -2.0]])


class Tiny(nn.Module):
    """Two linear layers and a ReLU in between."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
        self.first.weight.data, self.last.weight.data = FIRST.clone(), LAST.clone()

    def forward(self, x):
        return self.last(F.relu(self.first(x)))


def measured(name, network=None):
    return PROXIES[name](network or Tiny(), X, TARGETS, F.cross_entropy)


def gradients():
    """Returns the loss's gradients, by the chain rule on paper."""
    hidden = (X @ FIRST.T).clamp(min=0)
    errors = (hidden @ LAST.T).softmax(dim=1) - F.one_hot(TARGETS, 2)
    errors = errors / len(X)
    inner = (errors @ LAST) * (hidden > 0)
    return inner.T @ X, errors.T @ hidden


def test_synflow_is_the_flow_through_all_paths():
    flow = float((LAST.abs() @ FIRST.abs() @ torch.ones(2)).sum())  # both layers carry all of it
    assert measured("synflow") == pytest.approx(log1p(2 * flow), rel=1e-6)


def test_snip_is_the_sensitivity_to_each_params_removal():
    first, last = gradients()
    wanted = float((FIRST * first).abs().sum() + (LAST * last).abs().sum())
    assert measured("snip") == pytest.approx(wanted, rel=1e-5)


def test_the_gradient_norm_sums_the_norms_of_the_layers():
    assert measured("gradient_norm") == pytest.approx(sum(float(g.norm()) for g in gradients()))


def test_grasp_is_the_change_of_the_gradients_norm_that_scaling_the_params_makes():
    norms, epsilon = [], 1e-4
    for sign in (1, -1):  # d/ds |g(s w)|^2 / 2 = w (H g), by finite differences
        network = Tiny().double()
        with torch.no_grad():
            for param in network.parameters():
                param.mul_(1 + sign * epsilon)
        loss = F.cross_entropy(network(X.double()), TARGETS)
        grads = torch.autograd.grad(loss, list(network.parameters()))
        norms.append(sum(float((g**2).sum()) for g in grads) / 2)
    wanted = -(norms[0] - norms[1]) / (2 * epsilon)
    assert measured("grasp") == pytest.approx(wanted, rel=1e-4)


IMAGES = torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(1)).double()
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def normalised():
    """Two convolutions, a BatchNorm after each; there is no other param of several axes."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4, eps=1e-12),
        nn.Softplus(),
        nn.Conv2d(4, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3, eps=1e-12),
        nn.Softplus(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).double()


def plain_gradients(params):
    """Returns the gradients of `normalised`'s loss, by functions of the batch's statistics."""
    x = IMAGES
    for param in params:
        x = F.conv2d(x, param, padding=1)
        centred = x - x.mean((0, 2, 3), keepdim=True)
        x = F.softplus(centred / centred.square().mean((0, 2, 3), keepdim=True).sqrt())
    return torch.autograd.grad(F.cross_entropy(x.mean((2, 3)), LABELS), params)


def of_normalised(name):
    """Returns a proxy, the convolutions' params, and the loss's gradient in them."""
    network = normalised()
    params = [network[0].weight, network[3].weight]
    grads = plain_gradients(params)
    network.eval()  # whatever it was before: proxies normalise by the batch
    return PROXIES[name](network, IMAGES, LABELS, F.cross_entropy), params, grads


def test_snip_counts_convolutions_in_batches_statistics_and_no_params_of_batch_norm():
    found, params, grads = of_normalised("snip")
    wanted = sum(float((w * g).detach().abs().sum()) for w, g in zip(params, grads, strict=True))
    assert found == pytest.approx(wanted, rel=1e-9)


def test_the_gradient_norm_counts_convolutions_in_batches_statistics():
    found, _, grads = of_normalised("gradient_norm")
    assert found == pytest.approx(sum(float(g.norm()) for g in grads), rel=1e-9)


def test_grasp_of_what_batch_norm_makes_scale_free_is_the_squared_gradient():
    # g(s w) = g(w) / s in the scale of each convolution, hence w (H g) = -|g|^2: the sign too
    found, _, grads = of_normalised("grasp")
    assert found == pytest.approx(sum(float(g.square().sum()) for g in grads), rel=1e-6)


def test_naswot_counts_the_relus_that_two_images_open_alike():
    code = (X @ FIRST.T > 0).long()
    alike = (code[:, None] == code[None]).sum(dim=2).double()
    assert alike.diagonal().tolist() == [3, 3, 3]
    wanted = log(abs(float(torch.linalg.det(alike))))
    assert measured("naswot") == pytest.approx(wanted)


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()])
def test_naswot_sees_relus_wherever_they_are(relu):
    tiny = Tiny()
    assert measured("naswot", nn.Sequential(tiny.first, relu, tiny.last)) == measured("naswot")


def test_jacobian_covariance_is_of_the_eigenvalues_of_the_images_gradients():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softplus(), nn.Linear(3, 2)).double()
    x = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    rows = []
    for image in x:
        point = image[None].clone().requires_grad_()
        network(point).sum().backward()
        rows.append(point.grad.flatten())
    s = torch.linalg.eigvalsh(torch.corrcoef(torch.stack(rows)))
    wanted = -float(((s + 1e-5).log() + 1 / (s + 1e-5)).sum())
    found = PROXIES["jacobian_covariance"](network, x, TARGETS, F.cross_entropy)
    assert found == pytest.approx(wanted, rel=1e-4)


def test_images_that_no_path_tells_apart_are_worth_nothing():
    network = Tiny()
    network.first.weight.data.zero_()
    assert measured("naswot", nn.Flatten()) == WORST
    assert measured("naswot", network) == WORST
    for name in ("snip", "gradient_norm", "grasp"):
        assert measured(name, network) == pytest.approx(0)
    assert measured("jacobian_covariance", network) < -1e5
