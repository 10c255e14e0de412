"""Print every message that the API, the command line and the settings can show, with the place that says it.

    python3 shared/boot.py run python -m tests.messages [ROOM]     such as refusals, api, cli or settings

For reading them all in one sitting: is it said what was wrong, with which value, and what would be right?
"""

import sys

from .found import every_message


def main(room: str = "") -> None:
    """Print the messages of one room, or of all, a line each."""
    for message in every_message():
        if room in ("", message.room):
            sys.stdout.write(f"{message.room}\t{message.place}\t{message.text}\n")


if __name__ == "__main__":
    main(*sys.argv[1:2])
