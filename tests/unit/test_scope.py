"""The scope of what runs here, and how it ends."""

from __future__ import annotations

from contextvars import copy_context

from shared.telemetry import scope


async def abandoned() -> None:
    with scope.within(scope.Scope("req_1", scope.mint(), "links")):
        await _never()


class _never:  # noqa: N801  (reads as a verb where it is awaited)
    def __await__(self):
        yield


def test_a_coroutine_that_is_closed_in_another_context_ends_its_scope_in_silence():
    coroutine = abandoned()
    copy_context().run(coroutine.send, None)

    coroutine.close()

    assert scope.current() is None
