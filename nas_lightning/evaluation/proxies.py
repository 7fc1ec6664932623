"""Zero-cost proxies: what one batch of images says about an untrained network.

Each is higher for networks that are expected to be better. Params are those with more than one
axis, of convolutions and linear layers. As in Abdelfattah et al., Zero-Cost Proxies, 2021
(arXiv:2101.08134), the proxies that need gradients normalise by the statistics of the batch;
synflow does not normalise at all.
"""

from collections.abc import Callable, Sequence
from math import log1p
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["PROXIES", "WORST", "Loss", "Proxy"]

Loss = Callable[[Tensor, Tensor], Tensor]
Proxy = Callable[[nn.Module, Tensor, Tensor, Loss], float]
RELUS = ("relu", "relu_", "relu6", "hardtanh", "hardtanh_")
JITTER = 1e-5  # of Jacobian covariance's eigenvalues, as in its source
WORST = -1e6  # of networks without information, e.g. because no path is open


def synflow(network: nn.Module, x: Tensor, targets: Tensor, loss: Loss) -> float:
    """Returns log(1 + sum |w dR/dw|), where R sums the outputs at |w| on an image of ones.

    Source: Tanaka et al., SynFlow, 2020 (arXiv:2006.05467), equation 2. Deliberate differences:
    the logarithm, which keeps the order, since the sum itself grows exponentially with the depth;
    BatchNorm, freshly built, evaluates and so is (nearly) the identity.
    """
    network = network.eval().double()
    with torch.no_grad():
        for param in network.parameters():
            param.abs_()
    outputs = network(torch.ones_like(x[:1], dtype=torch.double))
    return log1p(_saliency(outputs.sum(), network))


def snip(network: nn.Module, x: Tensor, targets: Tensor, loss: Loss) -> float:
    """Returns sum |w dL/dw|.

    Source: Lee et al., SNIP, 2019 (arXiv:1810.02340), equation 5, summed instead of normalised.
    """
    return _saliency(loss(network.train()(x), targets), network)


def grasp(network: nn.Module, x: Tensor, targets: Tensor, loss: Loss) -> float:
    """Returns the sum of -w (H g), with the gradient g and the Hessian H of the loss.

    Source: Wang et al., GraSP, 2020 (arXiv:2002.07376), equation 8, without its temperature.
    """
    params = _params(network.train())
    grads = _gradient(loss(network(x), targets), params, create_graph=True)
    squared = torch.stack([(g.detach() * g).sum() for g in grads]).sum()
    if not squared.requires_grad:
        return WORST
    curved = _gradient(squared, params)
    return -sum(float((w.detach() * h).sum()) for w, h in zip(params, curved, strict=True))


def gradient_norm(network: nn.Module, x: Tensor, targets: Tensor, loss: Loss) -> float:
    """Returns the sum over the params of the Euclidean norm of the loss's gradient.

    Source: Abdelfattah et al., 2021 (arXiv:2101.08134), section 3.1.
    """
    grads = _gradient(loss(network.train()(x), targets), _params(network))
    return sum(float(g.norm()) for g in grads)


def naswot(network: nn.Module, x: Tensor, targets: Tensor, loss: Loss) -> float:
    """Returns log |det K|, where K_ij counts the ReLUs that are alike for images i and j.

    Source: Mellor et al., Neural Architecture Search without Training, 2021 (arXiv:2006.04647),
    equation 2. ReLUs are seen wherever they are called.
    """
    codes = _Codes()
    with torch.no_grad(), codes:
        network.train()(x)
    if not codes.seen:
        return WORST
    code = torch.cat(codes.seen, dim=1).double()
    alike = code @ code.T + (1 - code) @ (1 - code).T
    return max(WORST, float(torch.linalg.slogdet(alike).logabsdet))


def jacobian_covariance(network: nn.Module, x: Tensor, targets: Tensor, loss: Loss) -> float:
    """Returns -sum(log(s + k) + 1 / (s + k)) over the eigenvalues s of the Jacobian's correlation.

    Row i of the Jacobian is the gradient of the summed outputs in image i; k is 1e-5. Source:
    Mellor et al., the first version of arXiv:2006.04647, 2020, section 3.
    """
    x = x.detach().clone().requires_grad_()
    (jacobian,) = _gradient(network.train()(x).sum(), [x])
    correlation = torch.corrcoef(jacobian.flatten(1).double()).nan_to_num()
    s = torch.linalg.eigvalsh(correlation).clamp(min=0) + JITTER
    return max(WORST, -float((s.log() + 1 / s).sum()))


PROXIES: dict[str, Proxy] = {
    proxy.__name__: proxy
    for proxy in (synflow, snip, grasp, naswot, jacobian_covariance, gradient_norm)
}


class _Codes(TorchFunctionMode):
    """Records which ReLUs are open, image by image."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in RELUS:
            self.seen.append((result > 0).flatten(1))
        return result


def _params(network: nn.Module) -> list[Tensor]:
    return [param for param in network.parameters() if param.dim() > 1]


def _saliency(value: Tensor, network: nn.Module) -> float:
    """Returns sum |w dvalue/dw| over the params."""
    params = _params(network)
    pairs = zip(params, _gradient(value, params), strict=True)
    return sum(float((w.detach() * grad).abs().sum()) for w, grad in pairs)


def _gradient(value: Tensor, wrt: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    """Returns the gradients; zeros where the value does not depend on a tensor."""
    grads = torch.autograd.grad(value, wrt, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(wrt, grads, strict=True)]
