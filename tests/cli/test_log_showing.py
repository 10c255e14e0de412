"""No cell of an export is executed by a spreadsheet, and no cell contains a line break."""

import csv

import pytest

from counterfoil.cli.log_display import csv_line


@pytest.mark.parametrize(
    "cell",
    [
        "=cmd()",
        "+1",
        "-1",
        "@sum(1)",
        "\uff1dcmd()",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
        "\ufe621",
        " =1",
        "=\n1",
    ],
)
def test_a_cell_that_a_spreadsheet_would_execute_is_escaped(cell: str) -> None:
    (row,) = csv.reader([csv_line((cell, "plain"))])
    assert row[0].startswith("'")
    assert row[1] == "plain"


@pytest.mark.parametrize("cell", ["\t=1", "\r=1", "\n=1", "\x00=1", "\u200b=1", "\u3000=1", "a\r\nb", "\u202e=1"])
def test_unprintable_characters_are_escaped_in_csv(cell: str) -> None:
    text = csv_line((cell,))
    assert text.isprintable()
    assert text.startswith(("\\", '"\\', "a"))
