"""The payment link: a template, a status, and counters that never pass their caps.

Pure: `now` and ids are arguments, a move returns the new link and its facts. *Exhausted* and
*ended* are derived, never stored, so that raising a cap reopens a link by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from services.links import slugs
from services.links.caps import Capacity, Count, capacity
from services.links.template import FIELDS, Template
from shared.contracts.base import changed
from shared.contracts.link_requests import LinkStatus
from shared.contracts.links import (
    LinkActivated,
    LinkCreated,
    LinkDeactivated,
    LinkExhausted,
    LinkFact,
    LinkReopened,
    LinkUpdated,
    PaymentLink,
    shown_version,
)
from shared.contracts.plans import ARCHIVED, SubscriptionPlan
from shared.contracts.types import ModeEnvironment
from shared.errors import Refusal, not_found

Facts = list[LinkFact]

# The shortest life of a page. An event opens none that would have to close earlier.
LAST_PAGE: Final = timedelta(seconds=60)
# Why a buyer cannot buy now: the code, and the sentence that the page shows.
UNAVAILABLE: Final[Mapping[str, str]] = {
    "PAYMENT_LINK_INACTIVE": "This payment link is not active.",
    "PAYMENT_LINK_MAX_COMPLETIONS_REACHED": "This payment link has been used up.",
    "EVENT_SOLD_OUT": "This event is sold out.",
    "EVENT_ENDED": "This event is over.",
    ARCHIVED: "This subscription plan is no longer offered.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link as it stands. `slugs` begins with the newest; `origin` is where buyers reach us."""

    payment_link_id: str
    merchant_id: str
    mode_environment: ModeEnvironment
    template: Template
    slugs: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    origin: str
    status: LinkStatus = "active"
    version: int = 1
    completed_count: int = 0
    claimed_count: int = 0
    total_quantity_sold: int = 0
    claimed_quantity: int = 0
    returned_count: int = 0
    returned_quantity: int = 0
    tiers: Mapping[str, Count] = field(default_factory=dict)  # an event's, by line key
    plan: SubscriptionPlan | None = None  # what it offers, as orders said it last

    @property
    def slug(self) -> str:
        """The one slug that the others redirect to."""
        return self.slugs[0]

    @property
    def url(self) -> str:
        """The public address."""
        return f"{self.origin}/l/{self.slug}"

    @property
    def shown_version(self) -> int:
        """Grows whenever a page of it would show something else: with the link and its plan."""
        return shown_version(self.version, self.plan.version if self.plan else None)

    @property
    def capacity(self) -> Capacity:
        """What bounds its sales, and what is left."""
        return capacity(
            self.template,
            places=Count(self.completed_count, self.claimed_count, self.returned_count),
            seats=Count(self.total_quantity_sold, self.claimed_quantity, self.returned_quantity),
            tiers=self.tiers,
        )

    def unavailable_reason(self, now: datetime) -> str | None:
        """The code of why no buyer may resolve it now, or None."""
        if self.status == "inactive":
            return "PAYMENT_LINK_INACTIVE"
        end = self.template.event_config.sold_until
        if end is not None and now > end - LAST_PAGE:
            return "EVENT_ENDED"
        if self.plan is not None and self.plan.status == "archived":
            return ARCHIVED
        return self.capacity.exhausted_by

    def shown(self) -> PaymentLink:
        """The link as the API shows it."""
        return PaymentLink.model_construct(**self._fields())

    def refuse_stale(self, expected_version: int | None) -> None:
        """409 for who wrote against another version than this one."""
        if expected_version is not None and expected_version != self.version:
            raise Refusal(
                "conflict",
                "PAYMENT_LINK_CHANGED_RETRY",
                f"The payment link is at version {self.version}, not {expected_version}.",
                param="expected_version",
                next_actions=("Read the link again and repeat the change.",),
            )

    def change(self, template: Template, now: datetime) -> tuple[Link, Facts]:
        """Another template (already checked). What changes nothing is no new version."""
        if template == self.template:
            return self, []
        link = self._next(now, template=template)
        return link, [link._fact(LinkUpdated, self), *link._cap_facts(self)]

    def activate(self, now: datetime) -> tuple[Link, Facts]:
        """Open to buyers. Repeating it changes nothing."""
        if self.status == "active":
            return self, []
        link = self._next(now, status="active")
        return link, [link._fact(LinkActivated, self)]

    def deactivate(self, *, close_open_sessions: bool, now: datetime) -> tuple[Link, Facts]:
        """Closed to new buyers; open sessions may finish, unless they are to be closed too.

        Repeating it changes nothing, but open sessions can be closed by a second word.
        """
        if self.status == "inactive" and not close_open_sessions:
            return self, []
        link = self if self.status == "inactive" else self._next(now, status="inactive")
        fact = link._fact(LinkDeactivated, self, close_open_sessions=close_open_sessions)
        return link, [fact]

    def add_slug(self, slug: str, now: datetime) -> tuple[Link, Facts]:
        """The newest address, to which the others lead. What it is already is no new version."""
        return self._renamed(slugs.with_newest(self.slugs, slug), now)

    def remove_slug(self, slug: str, now: datetime) -> tuple[Link, Facts]:
        """One address less; the newest that is left is the one that counts."""
        if slug not in self.slugs:
            raise not_found("slug", "slug")
        return self._renamed(slugs.without(self.slugs, slug), now)

    def _renamed(self, names: tuple[str, ...], now: datetime) -> tuple[Link, Facts]:
        if names == self.slugs:
            return self, []
        link = self._next(now, slugs=names)
        return link, [link._fact(LinkUpdated, self)]

    def completed(self, quantity: int, quantities: Mapping[str, int]) -> Facts:
        """What there is to say of a sale that is counted here already.

        `quantity` counts all pieces, `quantities` those of each line.
        """
        before = replace(
            self,
            completed_count=self.completed_count - 1,
            total_quantity_sold=self.total_quantity_sold - quantity,
            tiers=self._tiers_without(Count(sold=1), quantities),
        )
        return self._cap_facts(before)

    def returned(self, quantity: int, quantities: Mapping[str, int]) -> Facts:
        """The same, of a sale whose place and seats came back."""
        before = replace(
            self,
            returned_count=self.returned_count - 1,
            returned_quantity=self.returned_quantity - quantity,
            tiers=self._tiers_without(Count(returned=1), quantities),
        )
        return self._cap_facts(before)

    def _tiers_without(self, one: Count, quantities: Mapping[str, int]) -> Mapping[str, Count]:
        return {
            key: count.less(one, pieces=quantities.get(key, 0)) for key, count in self.tiers.items()
        }

    def _cap_facts(self, before: Link) -> Facts:
        was = before.capacity.exhausted_by is not None
        now = self.capacity.exhausted_by is not None
        if was == now:
            return []
        return [self._fact(LinkExhausted if now else LinkReopened, before)]

    def _next(self, now: datetime, **changes: Any) -> Link:
        return replace(self, version=self.version + 1, updated_at=now, **changes)

    def _fields(self) -> dict[str, Any]:
        content = {name: getattr(self.template, name) for name in FIELDS}
        left = self.capacity
        return content | {
            "payment_link_id": self.payment_link_id,
            "status": self.status,
            "completed_count": self.completed_count,
            "total_quantity_sold": self.total_quantity_sold,
            "active_count": self.completed_count - self.returned_count,
            "remaining_quantity": left.remaining_quantity,
            "is_sold_out": left.exhausted_by is not None,
            "warnings": left.warnings(),
            "version": self.version,
            "url": self.url,
            "slugs": list(self.slugs),
            "merchant_id": self.merchant_id,
            "mode_environment": self.mode_environment,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def _fact(self, kind: type[LinkFact], before: Link, **more: Any) -> LinkFact:
        fields = self._fields()
        previous = changed(before._fields(), fields)
        return kind.model_construct(**fields, previous=previous, **more)


def create(
    template: Template,
    *,
    payment_link_id: str,
    merchant_id: str,
    mode_environment: ModeEnvironment,
    slug: str,
    origin: str,
    now: datetime,
    plan: SubscriptionPlan | None = None,
) -> tuple[Link, Facts]:
    """A new, active link (its template already checked)."""
    link = Link(
        payment_link_id=payment_link_id,
        merchant_id=merchant_id,
        mode_environment=mode_environment,
        template=template,
        slugs=(slug,),
        created_at=now,
        updated_at=now,
        origin=origin,
        plan=plan,
    )
    return link, [LinkCreated.model_construct(**link._fields())]


def no_such_link() -> Refusal:
    """Unknown, another merchant's, of the other mode: one answer."""
    return not_found("payment link")


def refuse_unavailable(code: str) -> Refusal:
    """The refusal of a buyer who came to a link that sells nothing now."""
    return Refusal("conflict", code, UNAVAILABLE[code])
