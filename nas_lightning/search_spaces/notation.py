"""DARTS's text notation (2019, arXiv:1806.09055, official code); it is parsed, never evaluated.

`Genotype(normal=[(operation, input), ...], normal_concat=..., reduce=[...], reduce_concat=...)`

Where nodes have fewer than two edges, each edge names its node, as in Fair DARTS's code (2020,
arXiv:1911.12126): `(operation, node, input)`.
"""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["CellText", "read_darts_text", "shortened", "write_darts_text"]

# Where a genotype begins: at a field's name in a call or a dictionary, else at any of the two.
FIELD = r"(?:(?:normal|reduce)(?:_concat)?|connectN|connects)"
START = re.compile(rf"""\bGenotype\s*\(\s*(?={FIELD}\s*=)|\{{\s*(?=['"]{FIELD}['"]\s*:)""")
LIKELY = re.compile(r"\bGenotype\s*\(|\{")
TOKEN = re.compile(r"""'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\#[^\n]*|[()\[\]{}]""")
UNUSED = ("connectN", "connects")  # fields of AutoDL's genotypes that are None in all of them
PRINTED = ("float16", "float32", "float64", "int32", "int64", "tensor")
FIELDS = {"normal": "normal", "reduction": "reduce"}  # name of a kind of cell in the notation
NOT_LITERAL = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError)


@dataclass(frozen=True)
class CellText:
    """One cell in DARTS's notation."""

    edges: tuple[tuple[str, int], ...]  # pairs (operation, input state), two per node
    concat: tuple[int, ...]  # the states that make the cell's output
    targets: tuple[int, ...] = ()  # the node of each edge, where they need not be two per node

    def nodes(self, kind: str, what: str, number: int) -> list[list[tuple[int, str]]]:
        """Returns per node or block, as `what` calls it, its two pairs (input state, operation).

        Raises: ValueError: the cell, of this kind, has another number of edges.
        """
        if self.targets:
            rule = f"the edges of {what} are pairs (operation, input), two per node"
            raise ValueError(f"{rule}, those of the text's {kind} cell name their node")
        edges, wanted = [(source, op) for op, source in self.edges], 2 * number
        if len(edges) != wanted:
            rule = f"{number} {what} have {wanted} edges"
            raise ValueError(f"{rule}, the text's {kind} cell has {len(edges)}")
        return [edges[first : first + 2] for first in range(0, wanted, 2)]

    def nodes_by_name(self, kind: str, nodes: Sequence[int]) -> list[list[tuple[int, str]]]:
        """Returns per node the pairs (input state, operation) of the edges that name it.

        Raises: ValueError: an edge of the cell, of this kind, names none of the nodes.
        """
        if unknown := set(self.targets).difference(nodes):
            rule = f"this space has nodes {list(nodes)}"
            raise ValueError(f"{rule}, an edge of the text's {kind} cell enters {min(unknown)}")
        edges = list(zip(self.targets, self.edges, strict=True))
        return [[(source, op) for t, (op, source) in edges if t == node] for node in nodes]


def read_darts_text(text: str) -> dict[str, CellText]:
    """Returns the cells of a text under "normal" and "reduction".

    The genotype may stand anywhere in a text, such as behind a name (`DARTS_V2 =
    genotypes.Genotype(...)`) or in a log's line, and may be a dictionary of the same fields. A
    node's two pairs may be in brackets of their own, and a pair may have its score as a third
    value, as GDAS's code prints them.

    Raises: ValueError: the text holds anything but one such genotype with literal arguments.
    """
    match _parsed(text):
        case ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords):
            values = _once((keyword.arg, keyword.value) for keyword in keywords)
        case ast.Dict(keys=keys, values=nodes):
            names = [key.value if isinstance(key, ast.Constant) else None for key in keys]
            values = _once(zip(map(str, names), nodes, strict=True))
        case _:
            form = "Genotype(normal=[...], normal_concat=[...], reduce=[...], reduce_concat=[...])"
            raise ValueError(f"DARTS's notation is {form}, got {shortened(text)}")
    for name in UNUSED:
        if isinstance(node := values.get(name), ast.Constant) and node.value is None:
            del values[name]
    fields = {f"{cell}{end}" for cell in FIELDS.values() for end in ("", "_concat")}
    if set(values) != fields:
        given = ", ".join(sorted(map(str, values))) or "nothing"
        raise ValueError(f"Genotype(...) takes {', '.join(sorted(fields))}; got {given}")
    return {kind: _cell(values[c], values[f"{c}_concat"], c) for kind, c in FIELDS.items()}


def _parsed(text: str) -> ast.expr:
    """Returns the syntax of the genotype in a text, without what stands around it."""
    text = text.strip()
    fault = f"not a genotype in DARTS's notation: {shortened(text)}"
    places = _places(text)
    if len(places) > 1:
        raise ValueError(f"{fault} holds {len(places)} of them; leave the one that you mean")
    begin, end = places[0]
    if more := re.match(r"\.\w+|[(\[].?", text[end:]):
        rule = f"must end with its bracket, but goes on with {more[0]!r}"
        raise ValueError(f"{fault} {rule}; nothing is run, so leave out what changes it")
    try:
        return _Numbers().visit(ast.parse(text[begin:end], mode="eval")).body  # type: ignore[no-any-return]
    except SyntaxError as error:
        line = text.count("\n", 0, begin) + (error.lineno or 1)
        raise ValueError(f"{fault} ({error.msg}, in line {line}: {_near(text, line)})") from None
    except NOT_LITERAL:
        raise ValueError(fault) from None


def _places(text: str) -> list[tuple[int, int]]:
    """Returns begin and end of each genotype in a text; of all the text where there is none."""
    places, end = list[tuple[int, int]](), 0
    while begin := START.search(text, end):
        end = _end(text, begin.start())
        places.append((begin.start(), end))
    if not places and (likely := LIKELY.search(text)):
        places = [(likely.start(), _end(text, likely.start()))]
    return places or [(0, len(text))]


def _end(text: str, begin: int) -> int:
    """Returns where the first bracket from `begin` on is closed, else the end of the text."""
    depth = 0
    for token in TOKEN.finditer(text, begin):
        depth += (token[0] in "([{") - (token[0] in ")]}")
        if depth == 0 and token[0] in ")]}":
            return token.end()
    return len(text)


def _once(pairs: Iterable[tuple[str | None, ast.expr]]) -> dict[str | None, ast.expr]:
    """Returns values by field; raises ValueError where a field is there twice."""
    values = dict[str | None, ast.expr]()
    for name, node in pairs:
        if name in values:
            both = " and ".join(shortened(ast.unparse(each)) for each in (values[name], node))
            raise ValueError(f"Genotype(...) takes '{name}' once, got {both}; leave one of them")
        values[name] = node
    return values


class _Numbers(ast.NodeTransformer):
    """Takes the number out of `np.float32(0.13)` or `tensor(0.13)`, as arrays print theirs."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name),
                args=[ast.Constant(value=int() | float()) as number],
                keywords=[],
            ) if name in PRINTED:
                return number
        return self.generic_visit(node)


def write_darts_text(cells: dict[str, CellText]) -> str:
    """Returns the text that `read_darts_text` reads."""
    parts = list[str]()
    for kind, name in FIELDS.items():
        cell, edges = cells[kind], list[tuple[str | int, ...]](cells[kind].edges)
        if cell.targets:
            named = zip(cell.targets, cell.edges, strict=True)
            edges = [(op, target, source) for target, (op, source) in named]
        parts.append(f"{name}={edges!r}, {name}_concat={list(cell.concat)!r}")
    return f"Genotype({', '.join(parts)})"


def shortened(text: str) -> str:
    """Returns at most 80 characters of a text, quoted for a message."""
    text = text.strip()
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _cell(edges: ast.expr, concat: ast.expr, cell: str) -> CellText:
    pairs = _edges(edges, cell)
    are_named = {_names_node(pair) for pair in pairs}
    if len(are_named) > 1:
        raise ValueError(f"'{cell}' must name the node of every edge or of none; got both")
    if are_named != {True}:
        return CellText(tuple((pair[0], pair[1]) for pair in pairs), _states(concat, cell))
    targets = tuple(pair[1] for pair in pairs)
    return CellText(tuple((pair[0], pair[2]) for pair in pairs), _states(concat, cell), targets)


def _edges(node: ast.expr, cell: str) -> list[Any]:
    value = _literal(node, cell)
    if not isinstance(value, list | tuple):
        got = shortened(str(value))
        raise ValueError(f"'{cell}' must list pairs (operation, input), got {got}")
    pairs = list[Any]()
    for number, item in enumerate(value):
        if not (item and isinstance(item, list | tuple) and isinstance(item[0], list | tuple)):
            pairs.append(item)
        elif len(item) == 2:
            pairs += item
        else:
            rule = f"node {number + 1} of '{cell}' must have two pairs (operation, input)"
            raise ValueError(f"{rule}, got {shortened(str(item))}")
    for number, pair in enumerate(pairs):
        if not _is_edge(pair):
            raise ValueError(
                f"'{cell}' must list pairs (operation, input), got {shortened(str(value))}: number "
                f"{number + 1} is {shortened(str(pair))}"
            )
    return pairs


def _is_edge(pair: object) -> bool:
    """Returns whether this is an operation and an input, alone or with a score or a node."""
    types = [type(part) for part in pair] if isinstance(pair, list | tuple) else []
    return types in ([str, int], [str, int, float]) or _names_node(pair)


def _names_node(pair: object) -> bool:
    """Returns whether this is an operation, a node and an input."""
    types = [type(part) for part in pair] if isinstance(pair, list | tuple) else []
    return types == [str, int, int]


def _states(node: ast.expr, cell: str) -> tuple[int, ...]:
    match node:
        case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner], keywords=[]):
            return _states(inner, cell)
        case ast.Call(
            func=ast.Name(id="range"), args=[_] | [_, _] | [_, _, _] as ends, keywords=[]
        ):
            literals = [_literal(end, cell) for end in ends]
            bounds = [bound for bound in literals if type(bound) is int and abs(bound) <= 1000]
            is_range = len(bounds) == len(ends) and bounds[2:] in ([], [1])
            value: object = range(*bounds) if is_range else None
        case ast.Call():
            value = None
        case _:
            value = _literal(node, cell)
    if not (isinstance(value, list | tuple | range) and all(type(s) is int for s in value)):
        got = shortened(ast.unparse(node))
        raise ValueError(f"'{cell}_concat' must list states or be range(a, b), got {got}")
    return tuple(value)


def _near(text: str, line: int) -> str:
    lines = text.splitlines() or [""]
    return shortened(lines[min(line, len(lines)) - 1])


def _literal(node: ast.expr, cell: str) -> object:
    try:
        return ast.literal_eval(node)
    except NOT_LITERAL:
        raise ValueError(f"'{cell}' and its concat must be literals; nothing is run") from None
