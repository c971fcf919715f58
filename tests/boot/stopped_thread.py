"""Stops one thread of a process, as a worker would be that never comes back."""

import ctypes
import os
import pathlib
import threading

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
WALL = 0x40000000  # __WALL: also threads

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                         ctypes.c_void_p]


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace", str(thread))


def threads_named(pid, prefix):
    """Thread numbers, ascending."""
    return sorted(
        int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
        if (task / "comm").read_text(encoding="utf-8").startswith(prefix))


def stop_until_killed(thread):
    """The thread stands still until its process is killed; join() the result
    then."""
    _ptrace(PTRACE_SEIZE, thread)
    _ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
    # The process is not over before its tracer has taken note of this thread's
    # end.
    witness = threading.Thread(target=os.waitpid, args=(thread, WALL),
                               daemon=True)
    witness.start()
    return witness
