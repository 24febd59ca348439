"""The notebooks to hand out: no answer, no output, every exercise, a place to answer in; and they still run."""

import nbformat
import pytest
from _notebooks import answers, code_cells, execute, read, series
from handouts import handout, main
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

CODE = "```python\nsecret = 42\n```"


def one() -> nbformat.NotebookNode:
    cells = [
        new_markdown_cell("# One\n\nSee [two](02_two.ipynb) and [the card](../data/weights/README.md)."),
        new_code_cell("print(1)", execution_count=1, outputs=[new_output("stream", text="1\n")]),
        new_markdown_cell(
            "## Exercises\n\n1. Why?\n\n<details><summary>Answer</summary>\n\nBecause.\n\n</details>\n\n"
            f"2. Write it.\n\n<details><summary>Answer</summary>\n\n{CODE}\n\n</details>\n\nThat is all."
        ),
    ]
    return new_notebook(cells=cells, metadata={"colorlib": {"preset": "laptop"}, "kernelspec": {"name": "python3", "display_name": "P"}})


def test_an_answer_becomes_an_empty_cell():
    made = handout(one())
    nbformat.validate(made)
    assert [(cell.cell_type, cell.source) for cell in made.cells[2:]] == [
        ("markdown", "## Exercises\n\n1. Why?"),
        ("markdown", "*Your answer:*"),
        ("markdown", "2. Write it."),
        ("code", "# your code\n"),
        ("markdown", "That is all."),
    ]
    assert made.cells[1].outputs == [] and made.cells[1].execution_count is None
    assert set(made.metadata) == {"kernelspec"}
    assert made.cells[0].source.endswith("See [two](02_two.ipynb) and [the card](../../data/weights/README.md).")


@pytest.mark.parametrize("path", series(), ids=lambda path: path.stem)
def test_a_handout_holds_every_exercise_and_no_answer(path):
    notebook, made = read(path), handout(read(path))
    nbformat.validate(made)
    text = "\n".join(cell.source for cell in made.cells)
    assert "<details" not in text and not any(cell.get("outputs") for cell in made.cells)
    for answer in answers(notebook):
        assert answer not in text
    own = [cell.source for cell in code_cells(made) if cell.source != "# your code\n"]
    assert own == [cell.source for cell in code_cells(notebook)]
    before = sum(cell.source.count("<details") for cell in notebook.cells if cell.cell_type == "markdown")
    assert sum(cell.id.endswith("-answer") for cell in made.cells) == before >= 3
    assert "](../data/figures" not in text
    for name in (name for cell in made.cells for name in cell.get("attachments", {})):
        assert f"](attachment:{name})" in text


def test_the_command_writes_what_was_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("handouts.HANDOUTS", tmp_path / "handouts")
    assert main(["00", "04"]) == 0
    assert [path.name[:2] for path in sorted((tmp_path / "handouts").iterdir())] == ["00", "04"]
    assert main(["77"]) == 1 and "77" in capsys.readouterr().err


def test_a_handout_runs(tmp_path):
    """A small one. Those of the series hold their notebooks' own cells, see above, which nbval runs."""
    made = handout(one())
    assert execute(made, "smoke", tmp_path)[1] is None
    assert made.cells[1].outputs[0].text == "1\n" and made.cells[5].execution_count == 2
