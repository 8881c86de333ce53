"""`flint dead`: what nobody could handle, why, and sending it again."""

from __future__ import annotations

import sys

from services.rooms import all_rooms
from shared.bus.parking import Letter, parked, replay
from shared.config import Settings
from shared.errors import not_found


async def list_letters(settings: Settings) -> None:
    """Print a line per letter, and how many there are."""
    async with parked(settings.secret("topology_amqp_url"), all_rooms()) as (_, letters):
        for letter in letters:
            _say(letter.summary())
        _say(f"{len(letters)} dead letters")


async def show_letter(settings: Settings, letter_id: str) -> None:
    """Print one whole; raises Refusal for an unknown id."""
    async with parked(settings.secret("topology_amqp_url"), all_rooms()) as (_, letters):
        for letter in _chosen(letters, letter_id):
            _say(letter.whole())


async def replay_letters(settings: Settings, letter_id: str | None) -> None:
    """Send one or all back to where they came from."""
    async with parked(settings.secret("topology_amqp_url"), all_rooms()) as (channel, letters):
        chosen = _chosen(letters, letter_id) if letter_id else letters
        for letter in chosen:
            await replay(channel, letter)
            _say(f"sent again: {letter.summary()}")
        _say(f"{len(chosen)} sent again")


def _chosen(letters: list[Letter], letter_id: str) -> list[Letter]:
    chosen = [letter for letter in letters if letter.id == letter_id]
    if not chosen:
        raise not_found("dead letter")
    return chosen


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
