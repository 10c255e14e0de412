"""The state directories of the servers that tests run."""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from counterfoil_dev.state import State, temporary_state

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30


def quick_state() -> AbstractContextManager[State]:
    """Return a state in memory if there is room: a new server writes and syncs a thousand files.

    A killed server loses no more there than on a disk, since the machine stays up.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    return temporary_state(str(_MEMORY)) if roomy else temporary_state()
