"""Parts of a user's own that do not fit, or know less."""

from nas_lightning.core.search_space import SearchSpace
from nas_lightning.search_spaces.darts import DartsSpace


class Separate(DartsSpace):
    """A space whose children share nothing: it has no supernet."""

    supernet = SearchSpace.supernet


class Unmixed(Separate):
    """A space that has decisions, but no choices that could be mixed."""

    def __init__(self, nodes, ops, edge_ops, min_edges, scale):
        super().__init__(nodes, ops, edge_ops, min_edges, scale)
        self.whole = DartsSpace(nodes, ops, edge_ops, min_edges, scale)
        self.choices = ()

    def child(self, genotype, scale):
        return self.whole.child(genotype, scale)


class Neither:
    """A strategy of neither kind."""

    def __init__(self, trials=8):
        self.trials = trials
