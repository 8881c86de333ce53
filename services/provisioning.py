"""Making what the services' addresses name: databases with their roles, broker users.

For an installation of its own, where one administrator's address is at hand. Where databases and
users come from elsewhere (a managed server, Terraform) nobody has to call this.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from services.rooms import DATABASES, ROLES, all_rooms
from shared.bus.declare import apply_users
from shared.config import Settings
from shared.db.migrate import ensure_database


async def make_databases(settings: Settings) -> None:
    """Every database, owned by the role that its address names; both may exist already.

    The role's password becomes the one in the address, so that a rotated secret takes effect.
    """
    for name in DATABASES:
        parts = urlsplit(settings.secret(f"{name}_database_url"))
        await ensure_database(
            settings.secret("admin_database_url"),
            unquote(parts.path.removeprefix("/")),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )


async def make_broker_users(settings: Settings) -> None:
    """One user per service, which may read its own queues and declare nothing."""
    urls = {role: settings.secret(f"{role}_amqp_url") for role in ROLES}
    await apply_users(all_rooms(), urls, settings.secret("topology_management_url"))
