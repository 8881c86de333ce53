"""What every request handler of the gateway has at hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from services.gateway.accounts.directory import Directory
from services.gateway.hub import Hub
from services.gateway.pages.views import DemoLink
from services.gateway.pictures.easel import Easel
from services.gateway.rates import RateLimit
from services.gateway.recent import RecentLinks
from services.gateway.signing import SecretKey
from services.gateway.stats.visits import Visits
from shared.bus.caller import Caller
from shared.clock import utc_now
from shared.db.pool import Pool
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.payments.registry import Providers

KEY_REQUESTS_PER_SECOND: Final = 200
BUYER_REQUESTS_PER_SECOND: Final = 20
BUYER_BURST: Final = 40


async def _always_well() -> Mapping[str, Any]:
    return {}


@dataclass
class Gateway:
    """The parts of one gateway process. `hub` has to be the one its room rings.

    `public_url` has no slash at its end; every URL we give out begins with it, never with what
    a request's Host says. `trusted_proxies` is how many proxies stand before us (0: none).
    """

    caller: Caller
    pool: Pool
    secret_key: SecretKey
    public_url: str = "http://localhost:8080"
    providers: Providers | None = None
    hub: Hub = field(default_factory=Hub)
    key_limit: RateLimit = field(default_factory=lambda: RateLimit(KEY_REQUESTS_PER_SECOND))
    buyer_limit: RateLimit = field(
        default_factory=lambda: RateLimit(BUYER_REQUESTS_PER_SECOND, BUYER_BURST)
    )
    trusted_proxies: int = 0
    health: Callable[[], Awaitable[Mapping[str, Any]]] = _always_well
    clock: Callable[[], datetime] = utc_now
    version: str = VERSION
    demo_links: tuple[DemoLink, ...] = ()  # what the home page offers to try; `flint run` sets it
    recent_links: RecentLinks = field(default_factory=RecentLinks)
    easel: Easel = field(default_factory=Easel)
    accounts: Directory = field(init=False)
    visits: Visits = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Directory(self.pool)
        self.visits = Visits(self.pool)

    async def merchant_name(self, merchant_id: str) -> str:
        """What buyers know the merchant as; remembered for a minute."""
        return await self.accounts.merchant_name(merchant_id)

    def client_address(self, request: web.Request) -> str:
        """Who asks: the address that the outermost trusted proxy saw."""
        if self.trusted_proxies:
            hops = request.headers.get("X-Forwarded-For", "").split(",")
            if len(hops) >= self.trusted_proxies and hops[-self.trusted_proxies].strip():
                return hops[-self.trusted_proxies].strip()[:64]
        return request.remote or ""


GATEWAY: Final = web.AppKey("gateway", Gateway)
