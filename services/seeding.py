"""`flint demo`: a demo merchant with something to buy, in an installation over RabbitMQ."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from services.demo import make_demo
from services.gateway.gateway import Gateway
from shared.bus.rabbitmq import RabbitTransport
from shared.config import Settings
from shared.db.pool import open_pool

READY_SECONDS: Final = 15.0


async def seed(settings: Settings) -> None:
    """Make a new demo merchant, and print its key and a link to buy through.

    Raises Unavailable when the broker or a service does not answer.
    """
    transport = RabbitTransport(settings.secret("gateway_amqp_url"), name="flint-demo")
    pool = await open_pool(settings.secret("gateway_database_url"), name="demo", size=2)
    lines = asyncio.create_task(transport.run())
    try:
        await transport.ready(READY_SECONDS)
        gateway = Gateway(
            caller=transport, pool=pool, secret_key="", public_url=settings.public_url
        )
        made = await make_demo(gateway)
    finally:
        lines.cancel()
        await transport.close()
        await pool.close()
    sys.stdout.write(
        "Buy something, by card 4242 4242 4242 4242, any future date, any CVC:\n"
        + "".join(f"link {link['url']}\n" for link in made["links"].values())
        + f"merchant_id {made['merchant_id']}\napi_key {made['api_key']}\n"
    )
