"""No cell of an export is run by a spreadsheet, and none makes a line of its own."""

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
def test_a_cell_that_a_spreadsheet_would_compute_is_text(cell: str) -> None:
    (row,) = csv.reader([csv_line((cell, "plain"))])
    assert row[0].startswith("'")
    assert row[1] == "plain"


@pytest.mark.parametrize("cell", ["\t=1", "\r=1", "\n=1", "\x00=1", "\u200b=1", "\u3000=1", "a\r\nb", "\u202e=1"])
def test_what_is_not_printable_is_written_out_in_csv(cell: str) -> None:
    text = csv_line((cell,))
    assert text.isprintable()
    assert text.startswith(("\\", '"\\', "a"))
