"""What a step launches: the operators that compute, counted as they are dispatched."""

from collections import Counter
from collections.abc import Callable

from nas_lightning.core.dispatch import OperatorMode

# what allocates or asks, without computing
IDLE = ("empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided", "detach")
IDLE += ("_unsafe_view", "_reshape_alias", "is_same_size", "lift_fresh")


class Counting(OperatorMode):
    """Counts operators by name while the mode is on, views and allocations left out."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if not func.is_view and name not in IDLE:
            self.counts[name] += 1
        return self.run(func, args, kwargs)


def launched(step: Callable[[], object]) -> Counter[str]:
    """Returns how often a step launches each operator."""
    with Counting() as counting:
        step()
    return counting.counts


# what waits for a device: numbers and sizes that Python reads, and copies of Python's numbers
WAITING = ("_local_scalar_dense", "equal", "is_nonzero", "lift_fresh", "masked_select", "nonzero")


class Waiting(OperatorMode):
    """Lists the operators that would wait for a device, while the mode is on."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in WAITING:
            self.names.append(func.overloadpacket.__name__)
        return self.run(func, args, kwargs)
