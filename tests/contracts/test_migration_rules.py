"""Migrations only expand: the release before runs on the new tables, and nobody waits for a lock.

The rules are told in deploy/README.md. A file that takes something away is a *contract*: it
carries `-- contract: needs flint X.Y.Z`, the first release that can do without, and the ledger
keeps older releases off the database from then on.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.rooms import DATABASES, migration_folders
from shared.db.migrate import CONTRACT, read_folders
from shared.version import VERSION

FILES: Final = sorted({
    path
    for name in DATABASES
    for folder in migration_folders()[name]
    for path in folder.glob("*.sql")
})  # fmt: skip
NAME: Final = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parts[-3]}/{p.name}")

# What breaks the release that is still running, or locks a table for as long as it is long.
TAKES_AWAY: Final = {
    r"\bDROP (TABLE|COLUMN|VIEW|SEQUENCE|SCHEMA|TYPE|FUNCTION|DATABASE)\b": "the old release reads"
    " or writes it: stop using it first, and drop it one release later",
    r"\bRENAME\b": "the old release knows the old name: add the new one beside it",
    r"\bALTER (COLUMN )?\w+ (SET DATA )?TYPE\b": "it rewrites the table under a lock: add a column",
    r"\bSET NOT NULL\b": "the old release may still write nulls: add a CHECK … NOT VALID first",
    r"\bDROP DEFAULT\b": "the old release relies on it",
    r"\b(TRUNCATE|DELETE FROM)\b": "a migration never takes data away",
    r"\bREVOKE\b": "the old release may need the right",
    r"\b(VACUUM FULL|CLUSTER|REINDEX(?! .*CONCURRENTLY)|LOCK TABLE)\b": "it locks the whole table",
}
CONSTRAINT: Final = re.compile(r"\bADD (CONSTRAINT \w+ )?(CHECK|FOREIGN KEY)\b")
UNIQUE: Final = re.compile(r"\bADD (CONSTRAINT \w+ )?(UNIQUE|PRIMARY KEY|EXCLUDE)\b")
COLUMN: Final = re.compile(r"\bADD (COLUMN )?(IF NOT EXISTS )?(?!CONSTRAINT|CHECK|UNIQUE)(\w+) ")
INDEX: Final = re.compile(
    r"\bCREATE (UNIQUE )?INDEX (CONCURRENTLY )?.*?\bON (ONLY )?(\w+)", re.DOTALL
)
VOLATILE: Final = re.compile(
    r"random|gen_random_uuid|clock_timestamp|nextval|\bSERIAL\b|IDENTITY", re.IGNORECASE
)


def statements(text: str) -> list[str]:
    """The up part, statement by statement, without comments and without what strings say."""
    up = re.split(r"^-- migrate:down.*$", text, flags=re.MULTILINE)[0]
    bare = re.sub(r"--[^\n]*", "", up)
    bare = re.sub(r"'(?:[^']|'')*'", "''", bare)
    return [" ".join(one.split()) for one in bare.split(";") if one.strip()]


def problems(text: str) -> Iterator[str]:
    """Each rule that a file breaks, with the cure."""
    lines = statements(text)
    made = set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", " ".join(lines)))
    for line in lines:
        table = found[1] if (found := re.match(r"ALTER TABLE (?:ONLY )?(\w+)", line)) else ""
        yield from (f"{line[:60]}…: {why}" for rule, why in TAKES_AWAY.items()
                    if re.search(rule, line, re.IGNORECASE))  # fmt: skip
        if table not in made:
            yield from _waits(line)
        index = INDEX.search(line)
        if index and index[4] not in made and not index[2]:
            yield f"{line[:60]}…: CREATE INDEX CONCURRENTLY, in a file with transaction:false"
    whole = " ".join(lines)
    if "NOT VALID" in whole and "VALIDATE CONSTRAINT" in whole:
        yield "VALIDATE in a file of its own: here it runs under the lock that ADD has taken"
    is_outside = re.search(r"^-- migrate:up.*transaction:false", text, re.MULTILINE)
    if is_outside and (len(lines) != 1 or "IF NOT EXISTS" not in lines[0]):
        yield "transaction:false: one statement with IF NOT EXISTS, for a crash runs it again"
    if "CONCURRENTLY" in whole and not is_outside:
        yield "CONCURRENTLY cannot run in a transaction: write `-- migrate:up transaction:false`"


def _waits(line: str) -> Iterator[str]:
    """What looks at every row of a table that is in use, or refuses what the old release writes."""
    for clause in re.split(r", (?=ADD\b|DROP\b|ALTER\b|VALIDATE\b)", line):
        if CONSTRAINT.search(clause) and "NOT VALID" not in clause:
            yield f"{clause[:60]}…: add it NOT VALID, and VALIDATE it in a file of its own"
        if UNIQUE.search(clause) and "USING INDEX" not in clause:
            yield f"{clause[:60]}…: make the index CONCURRENTLY, then ADD … USING INDEX"
        if line.startswith("ALTER TABLE") and (column := COLUMN.search(clause)):
            if "NOT NULL" in clause and "DEFAULT" not in clause and "GENERATED" not in clause:
                yield f"{column[3]}: the old release does not write it: give it a DEFAULT"
            if VOLATILE.search(clause):
                yield f"{column[3]}: a default that differs row by row rewrites the table"


@each_file
def test_it_only_expands_or_says_which_release_can_do_without(path: Path):
    text = path.read_text()
    if path.name.startswith("0001_") or CONTRACT.search(text):
        return

    assert list(problems(text)) == []


@each_file
def test_a_contract_needs_a_release_that_there_is(path: Path):
    found = CONTRACT.search(path.read_text())

    if found:
        needs, ours = ([int(part) for part in one.split(".")] for one in (found[1], VERSION))
        assert needs <= ours


@each_file
def test_it_is_named_by_its_place_and_can_be_read(path: Path):
    assert NAME.fullmatch(path.name)
    assert [one.sql for one in read_folders([path.parent]) if one.file.endswith(path.name)] != [""]


def test_the_release_is_the_packages():
    with Path("pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == VERSION


def test_no_two_files_of_a_folder_have_one_number():
    places = Counter((path.parent, path.name[:4]) for path in FILES)

    assert [place for place, count in places.items() if count > 1] == []


@pytest.mark.parametrize("sql, cure", [
    ("DROP TABLE tea;", "drop it one release later"),
    ("ALTER TABLE tea DROP COLUMN cups;", "drop it one release later"),
    ("ALTER TABLE tea RENAME COLUMN cups TO mugs;", "add the new one beside it"),
    ("ALTER TABLE tea ALTER COLUMN cups TYPE bigint;", "add a column"),
    ("ALTER TABLE tea ALTER cups SET NOT NULL;", "CHECK … NOT VALID first"),
    ("ALTER TABLE tea ADD COLUMN cups int NOT NULL;", "give it a DEFAULT"),
    ("ALTER TABLE tea ADD cups uuid DEFAULT gen_random_uuid();", "rewrites the table"),
    ("ALTER TABLE tea ADD CONSTRAINT full CHECK (cups > 0);", "add it NOT VALID"),
    ("ALTER TABLE tea ADD CONSTRAINT one UNIQUE (cups);", "CONCURRENTLY, then ADD"),
    ("CREATE INDEX tea_cups ON tea (cups);", "CREATE INDEX CONCURRENTLY"),
    ("CREATE INDEX CONCURRENTLY IF NOT EXISTS tea_cups ON tea (cups);", "transaction:false"),
    ("DELETE FROM tea;", "never takes data away"),
    ("ALTER TABLE tea ADD CHECK (cups > 0) NOT VALID; ALTER TABLE tea VALIDATE CONSTRAINT few;",
     "in a file of its own: here it runs under the lock"),
])  # fmt: skip
def test_what_would_break_the_release_before_is_seen(sql: str, cure: str):
    assert cure in " ".join(problems(f"-- migrate:up\n{sql}\n-- migrate:down\nDROP TABLE x;"))


@pytest.mark.parametrize("sql", [
    "CREATE TABLE tea (cups int NOT NULL); CREATE INDEX tea_cups ON tea (cups);",
    "ALTER TABLE tea ADD COLUMN note text NOT NULL DEFAULT 'DROP TABLE; RENAME';",
    "ALTER TABLE tea ADD COLUMN cups int, ADD COLUMN mugs int CHECK (mugs > 0);",
    "ALTER TABLE tea DROP CONSTRAINT few, ADD CONSTRAINT few CHECK (cups > 0) NOT VALID;",
    "ALTER TABLE tea VALIDATE CONSTRAINT few;",
    "INSERT INTO tea SELECT 1; -- DROP TABLE tea",
])  # fmt: skip
def test_what_only_adds_is_let_through(sql: str):
    assert list(problems(f"-- migrate:up\n{sql}\n")) == []
