"""The public names of links: made where none is asked for, reserved words, and what looks alike.

Pure. A slug is ASCII by its type, so no other alphabet can pose as it; what remains are letters
that look like others (`paypa1`, `rnarket`). Such slugs have one *shape*, and a shape belongs to the
merchant who took it first: nobody can stand beside a known link with a name that reads the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from shared.errors import Refusal, invalid

RESERVED: Final = frozenset(
    """
    about account admin api app assets auth billing cart checkout checkouts dashboard demo docs
    embed events favicon flint health help home index legal link links live login logout mail
    merchant merchants new null order orders pay payment payments privacy public qr ready root
    security session sessions settings sign-in signin signup static stats status subscriptions
    support terms test undefined webhooks well-known www
    """.split()  # noqa: SIM905  (a word a line would be two screens)
)
SLUGS_MAX: Final = 50  # of one link: the newest, and those that lead to it
SUFFIX_LENGTH: Final = 8  # 40 bits: nobody finds a link by trying
_BASE_MAX: Final = 40
_TWINS: Final = str.maketrans("01", "ol")


def shape_of(slug: str) -> str:
    """What the eye makes of it: the same for slugs that can be taken for one another."""
    return slug.translate(_TWINS).replace("rn", "m").replace("vv", "w").replace("-", "")


_RESERVED_SHAPES: Final = frozenset(shape_of(word) for word in RESERVED)


def slug_for(asked: str | None, *, name: str, suffix: str) -> str:
    """The asked slug, unless the word is reserved; else a readable one that nobody can guess."""
    if asked is None:
        return f"{_base(name)}-{suffix}"
    if shape_of(asked) in _RESERVED_SHAPES:
        raise invalid("slug", f"The slug '{asked}' is reserved, or reads like one that is.")
    return asked


def _base(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words: Sequence[str] = "".join(c if c.isalnum() else " " for c in plain).split()
    return "-".join(words)[:_BASE_MAX].strip("-") or "link"


def with_newest(slugs: tuple[str, ...], slug: str) -> tuple[str, ...]:
    """The slug first, whether it is new or one of the older ones; the others lead to it."""
    older = tuple(one for one in slugs if one != slug)
    if len(older) >= SLUGS_MAX:
        raise invalid("slug", f"A payment link has at most {SLUGS_MAX} slugs.")
    return (slug, *older)


def without(slugs: tuple[str, ...], slug: str) -> tuple[str, ...]:
    """What is left without it; the last one stays, so that a link always has an address."""
    if slugs == (slug,):
        raise Refusal(
            "conflict",
            "INVALID_VALUE",
            "A payment link keeps at least one slug.",
            param="slug",
            next_actions=("Add another slug first.",),
        )
    return tuple(one for one in slugs if one != slug)


def slug_taken(slug: str) -> Refusal:
    """Slugs are unique in the whole installation, so this says nothing about whose it is."""
    message = f"The slug '{slug}' is taken, or reads like one that is."
    return Refusal("conflict", "INVALID_VALUE", message, param="slug")
