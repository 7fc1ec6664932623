"""Readers for the field's own text notations; they parse, they never evaluate."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CellText", "inputs_of_nodes", "is_darts_text", "read_darts_text", "write_darts_text"]


@dataclass(frozen=True)
class CellText:
    """One cell in DARTS's notation.

    Attributes:
        edges: pairs (operation, input state), in the order of the text, two a node.
        concat: the states that make the cell's output.
    """

    edges: tuple[tuple[str, int], ...]
    concat: tuple[int, ...]


def is_darts_text(text: str) -> bool:
    """Returns whether a text means to be in DARTS's notation."""
    return text.lstrip().startswith("Genotype(")


def read_darts_text(text: str) -> dict[str, CellText]:
    """Reads `Genotype(normal=[(op, input), ...], normal_concat=..., reduce=..., ...)`.

    Source: the notation of Liu et al., DARTS, 2019 (arXiv:1806.09055), official code.

    Returns:
        The cells under "normal" and "reduce".

    Raises:
        ValueError: the text is anything but such a call with literal arguments.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        raise ValueError(f"not a genotype in DARTS's notation: {_short(text)}") from None
    if not (
        isinstance(tree, ast.Call)
        and isinstance(tree.func, ast.Name)
        and tree.func.id == "Genotype"
        and not tree.args
    ):
        raise ValueError(
            "DARTS's notation is Genotype(normal=[...], normal_concat=[...], "
            f"reduce=[...], reduce_concat=[...]), got {_short(text)}"
        )
    fields = {keyword.arg: keyword.value for keyword in tree.keywords}
    wanted = {"normal", "normal_concat", "reduce", "reduce_concat"}
    if set(fields) != wanted:
        found = ", ".join(sorted(str(name) for name in fields)) or "nothing"
        raise ValueError(f"Genotype(...) takes {', '.join(sorted(wanted))}; got {found}")
    return {
        cell: CellText(_edges(fields[cell], cell), _states(fields[f"{cell}_concat"], cell))
        for cell in ("normal", "reduce")
    }


def inputs_of_nodes(
    cell: CellText, kind: str, nodes: Sequence[int], num_edges: int
) -> dict[int, dict[int, str]]:
    """Returns the operations into each node by the state that they read.

    Args:
        cell: the cell, whose output is all its nodes.
        kind: what to call the cell in messages.
        nodes: the states that are nodes.
        num_edges: edges of a node, which read different states below it.

    Raises:
        ValueError: the cell has other nodes, or other edges.
    """
    if sorted(cell.concat) != list(nodes):
        raise ValueError(
            f"this space concatenates states {list(nodes)}, the text's {kind} "
            f"cell {list(cell.concat)}"
        )
    if len(cell.edges) != num_edges * len(nodes):
        raise ValueError(
            f"{len(nodes)} nodes have {num_edges * len(nodes)} edges, the "
            f"text's {kind} cell has {len(cell.edges)}"
        )
    found = {}
    for position, node in enumerate(nodes):
        pairs = cell.edges[num_edges * position : num_edges * (position + 1)]
        sources = sorted({source for _, source in pairs})
        if len(sources) < num_edges or not 0 <= sources[0] <= sources[-1] < node:
            raise ValueError(
                f"node {node} of the {kind} cell must read two different states "
                f"below {node}, got {[source for _, source in pairs]}"
            )
        found[node] = {source: op for op, source in pairs}
    return found


def write_darts_text(cells: dict[str, CellText]) -> str:
    """Returns the text that `read_darts_text` reads."""
    parts = [
        f"{name}={list(cell.edges)!r}, {name}_concat={list(cell.concat)!r}"
        for name, cell in cells.items()
    ]
    return f"Genotype({', '.join(parts)})"


def _edges(node: ast.expr, cell: str) -> tuple[tuple[str, int], ...]:
    value = _literal(node, cell)
    if not (isinstance(value, list | tuple) and all(_is_edge(pair) for pair in value)):
        raise ValueError(f"'{cell}' must list pairs (operation, input), got {_short(str(value))}")
    return tuple((pair[0], pair[1]) for pair in value)


def _is_edge(pair: object) -> bool:
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and type(pair[1]) is int
    )


def _states(node: ast.expr, cell: str) -> tuple[int, ...]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        literals = [_literal(argument, cell) for argument in node.args]
        bounds = [b for b in literals if type(b) is int and abs(b) <= 1000]
        if 1 <= len(bounds) <= 2 and len(bounds) == len(literals) and not node.keywords:
            return tuple(range(*bounds))
    value = None if isinstance(node, ast.Call) else _literal(node, cell)
    if not (isinstance(value, list | tuple) and all(type(state) is int for state in value)):
        raise ValueError(f"'{cell}_concat' must list states or be range(a, b)")
    return tuple(value)


def _literal(node: ast.expr, cell: str) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"'{cell}' and its concat must be literals; nothing is run") from None


def _short(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 80 else text[:77] + "...")
