"""Our own sources as syntax trees, for rules about what they may not say."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = sorted(
    path for room in ("shared", "services") for path in (ROOT / room).rglob("*.py")
)
TESTS: Final = sorted((ROOT / "tests").rglob("*.py"))
MIGRATIONS: Final = sorted(
    path for room in ("shared", "services") for path in (ROOT / room).rglob("*.sql")
)

Finding = tuple[int, str]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def nodes(path: Path, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, kinds))


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name_of(node: ast.expr) -> str:
    """`a.b.c` as its last word."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def receiver_of(call: ast.Call) -> str:
    return name_of(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def keywords(call: ast.Call) -> set[str]:
    return {keyword.arg or "**" for keyword in call.keywords}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_prose(path: Path) -> set[int]:
    """The docstrings of a module, by identity."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        id(node.body[0].value)
        for node in nodes(path, *owners)
        if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
    }


def texts(path: Path) -> Iterator[Finding]:
    """Every text in a module but its docstrings; a whole migration."""
    if path.suffix == ".sql":
        yield from enumerate(
            (line.partition("--")[0] for line in path.read_text().splitlines()), start=1
        )
        return
    prose = is_prose(path)
    for node in nodes(path, ast.Constant):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def speaks_amqp(path: Path) -> bool:
    return any(name.split(".")[0] in ("aio_pika", "aiormq") for _, name in imports(path))


def check(rule: Callable[[Path], Iterator[Finding]], paths: Sequence[Path], cure: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}" for path in paths for line, what in rule(path)
    ]
    assert not found, "\n".join([cure, *found])
