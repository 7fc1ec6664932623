"""What strategies that rank genotypes by their accuracy in the supernet need for it."""

from collections.abc import Iterable

from nas_lightning.core.search_context import Batch, SearchContext, listed

__all__ = ["ranking_data"]


def ranking_data(
    strategy: str, context: SearchContext | None, val: Iterable[Batch]
) -> tuple[SearchContext, list[Batch]]:
    """Returns the context and the validation batches by which a strategy ranks genotypes.

    Args:
        strategy: the strategy's name, for the message.
        context: the supernet and the data.
        val: the batches.

    Raises:
        ValueError: there is no context or no batch.
    """
    if context is None:
        raise ValueError(
            f"strategy={strategy} measures genotypes in its supernet, so that derive needs a "
            "search context, got None; hand over the SupernetModule that was trained, and "
            "validation batches"
        )
    return context, listed(val, strategy)
