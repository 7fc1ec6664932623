"""The data by which strategies rank genotypes in their supernet."""

from collections.abc import Iterable

from nas_lightning.core.search_context import Batch, SearchContext, listed

__all__ = ["ranking_data"]


def ranking_data(
    strategy: str, context: SearchContext | None, val: Iterable[Batch]
) -> tuple[SearchContext, list[Batch]]:
    """Returns the context and the validation batches by which the named strategy ranks genotypes.

    Raises:
        ValueError: there is no context or no batch.
    """
    if context is None:
        raise ValueError(
            f"strategy={strategy} measures genotypes in its supernet, so that derive needs a "
            "search context, got None; use derive of the SupernetModule, with validation batches"
        )
    return context, listed(val, strategy)
