"""DARTS's text notation (2019, arXiv:1806.09055, official code); it is parsed, never evaluated.

`Genotype(normal=[(operation, input), ...], normal_concat=..., reduce=[...], reduce_concat=...)`
"""

import ast
from dataclasses import dataclass

__all__ = ["CellText", "read_darts_text", "shortened", "write_darts_text"]

FIELDS = {"normal": "normal", "reduction": "reduce"}  # name of a kind of cell in the notation
NOT_LITERAL = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError)


@dataclass(frozen=True)
class CellText:
    """One cell in DARTS's notation."""

    edges: tuple[tuple[str, int], ...]  # pairs (operation, input state), two per node
    concat: tuple[int, ...]  # the states that make the cell's output

    def nodes(self, kind: str, what: str, number: int) -> list[list[tuple[int, str]]]:
        """Returns per node or block, as `what` calls it, its two pairs (input state, operation).

        Raises: ValueError: the cell, of this kind, has another number of edges.
        """
        edges, wanted = [(source, op) for op, source in self.edges], 2 * number
        if len(edges) != wanted:
            rule = f"{number} {what} have {wanted} edges"
            raise ValueError(f"{rule}, the text's {kind} cell has {len(edges)}")
        return [edges[first : first + 2] for first in range(0, wanted, 2)]


def read_darts_text(text: str) -> dict[str, CellText]:
    """Returns the cells of a text under "normal" and "reduction".

    Raises: ValueError: the text is anything but such a call with literal arguments.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except NOT_LITERAL:
        raise ValueError(f"not a genotype in DARTS's notation: {shortened(text)}") from None
    match call:
        case ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords):
            values = {keyword.arg: keyword.value for keyword in keywords}
        case _:
            form = "Genotype(normal=[...], normal_concat=[...], reduce=[...], reduce_concat=[...])"
            raise ValueError(f"DARTS's notation is {form}, got {shortened(text)}")
    fields = {f"{cell}{end}" for cell in FIELDS.values() for end in ("", "_concat")}
    if set(values) != fields:
        given = ", ".join(sorted(map(str, values))) or "nothing"
        raise ValueError(f"Genotype(...) takes {', '.join(sorted(fields))}; got {given}")
    return {
        kind: CellText(_edges(values[cell], cell), _states(values[f"{cell}_concat"], cell))
        for kind, cell in FIELDS.items()
    }


def write_darts_text(cells: dict[str, CellText]) -> str:
    """Returns the text that `read_darts_text` reads."""
    parts = [
        f"{name}={list(cells[kind].edges)!r}, {name}_concat={list(cells[kind].concat)!r}"
        for kind, name in FIELDS.items()
    ]
    return f"Genotype({', '.join(parts)})"


def shortened(text: str) -> str:
    """Returns at most 80 characters of a text, quoted for a message."""
    text = text.strip()
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _edges(node: ast.expr, cell: str) -> tuple[tuple[str, int], ...]:
    def is_edge(pair: object) -> bool:
        return isinstance(pair, list | tuple) and [type(part) for part in pair] == [str, int]

    value = _literal(node, cell)
    if not (isinstance(value, list | tuple) and all(map(is_edge, value))):
        got = shortened(str(value))
        raise ValueError(f"'{cell}' must list pairs (operation, input), got {got}")
    return tuple((op, source) for op, source in value)


def _states(node: ast.expr, cell: str) -> tuple[int, ...]:
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[_] | [_, _] as ends, keywords=[]):
            literals = [_literal(end, cell) for end in ends]
            bounds = [bound for bound in literals if type(bound) is int and abs(bound) <= 1000]
            value: object = range(*bounds) if len(bounds) == len(ends) else None
        case ast.Call():
            value = None
        case _:
            value = _literal(node, cell)
    if not (isinstance(value, list | tuple | range) and all(type(s) is int for s in value)):
        raise ValueError(f"'{cell}_concat' must list states or be range(a, b)")
    return tuple(value)


def _literal(node: ast.expr, cell: str) -> object:
    try:
        return ast.literal_eval(node)
    except NOT_LITERAL:
        raise ValueError(f"'{cell}' and its concat must be literals; nothing is run") from None
