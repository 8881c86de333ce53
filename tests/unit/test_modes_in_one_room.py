"""Nobody outside links says "mode": a new one is two files; no page, order or session changes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest

from shared.contracts.link_requests import LinkMode
from tests.support.sources import ROOT, SOURCES, Finding, check, nodes

MODES: Final = frozenset(get_args(LinkMode))
ROOM: Final = ROOT / "services/links"
# The bus has kinds of messages, and one of them is the event: another word.
ELSEWHERE: Final = (ROOM, ROOT / "shared/bus")
OUTSIDE: Final = [path for path in SOURCES if not any(map(path.is_relative_to, ELSEWHERE))]
TEMPLATES: Final = sorted((ROOT / "services/gateway").glob("*/*.html"))
SCRIPTS: Final = sorted((ROOT / "services/gateway/static").glob("*.js"))


def decides_by_mode(path: Path) -> Iterator[Finding]:
    """Comparisons, matches and reads that depend on which mode a link has."""
    for node in nodes(path, ast.Attribute, ast.Compare, ast.MatchValue):
        if reads_the_mode(node) or any(map(names_a_mode, ast.iter_child_nodes(node))):
            yield getattr(node, "lineno", 1), ast.unparse(node)


def reads_the_mode(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "mode" and is_a_link(node.value)


def is_a_link(owner: ast.expr) -> bool:
    """By what such things are called; a context's mode is test or live, and another word."""
    return bool(re.search(r"(link|shown|template|offer)\w*$", ast.unparse(owner)))


def names_a_mode(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in MODES


def test_no_other_room_decides_by_a_link_s_mode():
    check(decides_by_mode, OUTSIDE, "Show it as a field of ResolvedLine, ShownLink or Offer:")


def test_the_rule_sees_the_room_that_does_decide_by_it():
    found = [what for _, what in decides_by_mode(ROOM / "modes.py")]

    assert "template.mode" in found
    assert any("donation" in what for what in found)


@pytest.mark.parametrize("path", [*TEMPLATES, *SCRIPTS], ids=lambda path: path.name)
def test_no_page_decides_by_a_link_s_mode(path: Path):
    words = re.compile(rf"\.mode\b|[=!]=+ *[\"'](?:{'|'.join(MODES)})[\"']")

    assert not words.search(path.read_text()), "Give the page's view a field of its own."


def test_the_list_of_modes_is_written_down_once():
    """Beside the contract's own list only `modes.py` may; the demo has a link of each."""
    named = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if {node.value for node in nodes(path, ast.Constant) if isinstance(node, ast.Constant)}
        >= MODES
    }

    assert named - {"services/demo.py"} == {
        "shared/contracts/link_requests.py",
        "services/links/modes.py",
    }
