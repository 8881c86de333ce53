"""An error in one line that may be logged, kept with a dead letter and shown to an operator.

Errors echo values: a database the row, a validation the input, Python the literal. What a buyer or
merchant sent is nobody's business there, so only words of ours and of the libraries are left.
"""

from __future__ import annotations

import re
import traceback
from typing import Final

from pydantic import ValidationError

from shared.db.pool import is_drivers
from shared.db.pool import reason as database_reason
from shared.errors import Refusal, Unavailable
from shared.redaction import clean

LENGTH_MAX: Final = 300
FRAMES: Final = 12
_NAME: Final = re.compile(r"'[a-z_]{1,32}'")
# How Python and its libraries quote the value they choke on.
_QUOTED: Final = re.compile(r"""b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


def describe(error: BaseException) -> str:
    """What went wrong, without the values it went wrong with."""
    if isinstance(error, Refusal):
        return f"refused: {error.code}"
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return clean(f"malformed: {where} {first['type']}"[:LENGTH_MAX])
    if is_drivers(error):
        return database_reason(error)
    if isinstance(error, Unavailable):  # our own sentences, made for this
        return clean(str(error)[:LENGTH_MAX])
    words = _QUOTED.sub(_unless_a_name, str(error))[:LENGTH_MAX]
    return clean(f"{type(error).__name__}: {words}" if words else type(error).__name__)


def _unless_a_name(quoted: re.Match[str]) -> str:
    """Names of fields and types stay; whatever has capitals, digits or spaces may be a value."""
    return quoted[0] if _NAME.fullmatch(quoted[0]) else "'…'"


def frames(error: BaseException) -> list[str]:
    """Where it happened: the innermost places, without any value."""
    places = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return [f"{place.filename}:{place.lineno} {place.name}" for place in places]
