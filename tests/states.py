"""Where servers of tests keep their data."""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from counterfoil_dev.state import State, temporary_state

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30


def quick_state() -> AbstractContextManager[State]:
    """A state in memory if there is room, for a new server writes and syncs a thousand files.

    What is killed there loses no more than on a disk: the machine stays up.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    return temporary_state(str(_MEMORY)) if roomy else temporary_state()
