"""Which providers there are, and how they are opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from shared.payments.port import PaymentProvider
from shared.payments.sandbox import Sandbox, open_sandbox


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the adapters need to open. `sandbox_dsn` is the sandbox's own database."""

    public_url: str
    sandbox_dsn: str


Opener = Callable[[ProviderSettings], AbstractAsyncContextManager[PaymentProvider]]


class Providers(Mapping[str, PaymentProvider]):
    """Name → provider, of those that are open."""

    def __init__(self, providers: Mapping[str, PaymentProvider] | None = None) -> None:
        self._providers = dict(providers or {})

    def __getitem__(self, name: str) -> PaymentProvider:
        return self._providers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox itself, for its 3-D Secure page and for the audit of its ledger."""
        sandbox = self._providers["sandbox"]
        assert isinstance(sandbox, Sandbox), "the name belongs to the sandbox"
        return sandbox


@asynccontextmanager
async def _sandbox(settings: ProviderSettings) -> AsyncIterator[PaymentProvider]:
    async with open_sandbox(settings.sandbox_dsn, public_url=settings.public_url) as sandbox:
        yield sandbox


# A new adapter is one more line here, and is examined from that moment on.
ADAPTERS: Final[Mapping[str, Opener]] = {"sandbox": _sandbox}


@asynccontextmanager
async def open_providers(settings: ProviderSettings) -> AsyncIterator[Providers]:
    """All adapters, open until the end. Raises `Unavailable` if one cannot be reached."""
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(adapter(settings))
            for name, adapter in ADAPTERS.items()
        }
        yield Providers(opened)
