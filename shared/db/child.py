"""Child processes that cannot outlive us: the kernel signals them when this process dies.

A server started by `make run` or by a test must not stay behind after `kill -9`, and PostgreSQL
refuses to run as root; both are settled between fork and exec, which is why this is low-level.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
INSIDE_ID = 1000  # Any id but root's: what the child believes it is in its own user namespace.

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a child runs: ourselves, another user, or root seen as somebody else."""

    uid: int
    gid: int
    namespace: bool = False

    @property
    def switches(self) -> bool:
        return not self.namespace and self.uid != os.geteuid()


def ourselves() -> Identity:
    return Identity(os.geteuid(), os.getegid())


def unprivileged(*needed: Path) -> Identity:
    """Somebody who is not root and can reach the paths needed.

    `nobody` where folders let him through. Below a closed folder such as /root: root itself in
    a user namespace where it carries another number, so that no folder has to be opened.
    """
    if os.geteuid() != 0:
        return ourselves()
    if all(open_to_all(path) for path in needed):
        nobody = pwd.getpwnam("nobody")
        return Identity(nobody.pw_uid, nobody.pw_gid)
    return Identity(0, 0, namespace=True)


def open_to_all(path: Path) -> bool:
    """Whether any user may pass through every folder above, and into the folder itself."""
    return all(part.stat().st_mode & 0o001 for part in [path, *path.parents] if part.exists())


def start_child(
    argv: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    identity: Identity | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a server in its own session, so that Ctrl-C reaches us first and we stop it in order.

    The kernel's death signal fires when the *thread* that forked ends, hence the main thread only.
    """
    assert threading.current_thread() is threading.main_thread(), (
        "children start in the main thread"
    )
    who = identity or ourselves()
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=cwd,
        start_new_session=True,
        user=who.uid if who.switches else None,
        group=who.gid if who.switches else None,
        extra_groups=[] if who.switches else None,
        preexec_fn=_before_exec(death_signal, os.getpid(), namespace=who.namespace),
    )


def _before_exec(
    death_signal: signal.Signals, parent: int, *, namespace: bool
) -> Callable[[], None] | None:
    if _libc is None:
        return None  # macOS: the next start finds the orphan and stops it.

    def before_exec() -> None:
        if namespace:
            _enter_user_namespace()
        # After any change of identity: the kernel forgets the death signal then.
        _check(_libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0))
        if os.getppid() != parent:
            os._exit(1)  # The parent died before the line above.

    return before_exec


def _enter_user_namespace() -> None:
    assert _libc is not None, "user namespaces are Linux only"
    _check(_libc.unshare(CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INSIDE_ID} 0 1")
    Path("/proc/self/gid_map").write_text(f"{INSIDE_ID} 0 1")


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
