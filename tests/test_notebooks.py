"""What the committed notebooks show belongs to their code, and can be shown everywhere."""

from copy import deepcopy

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from art_disc.core.records import Environment
from art_disc.core.records.study import StudyRecord
from studies.notebooks import MOST_BYTES, digest, faults, notebooks, read, words


@pytest.mark.parametrize("number", [path.stem[:2] for path in notebooks()])
def test_outputs_belong_to_the_code(number):
    (path,) = (path for path in notebooks() if path.stem.startswith(number))
    assert faults(read(path)) == []


def test_there_are_notebooks():
    assert len(notebooks()) >= 7


def sealed(notebook):
    """The notebook as if this were what a run left."""
    facts = {"digest": digest(notebook), "seconds": 1.0, "cpu_seconds": 1.0}
    machine = {"processor": "x", "cores": 1}
    record = StudyRecord("toy", machine, facts, Environment.here(threads=1))
    notebook.metadata["art_disc"] = record.to_dict()
    notebook.cells[-1].source = words(record)
    return notebook


def toy():
    """A notebook without fault: a helper that draws, a cell that prints and one that draws."""
    text = new_output("stream", name="stdout", text="1/2 of it at eps 8/255\n")
    picture = new_output("display_data", data={"image/png": "aGVsbG8=", "text/plain": "<Figure>"})
    helper = "def strip(rows):\n    fig, axes = plt.subplots(2)\n    plt.show()"
    cells = [
        new_markdown_cell("# Toy"),
        new_code_cell(helper, execution_count=1),
        new_code_cell("print(1)", execution_count=2, outputs=[text]),
        new_code_cell("strip(1)\nplt.figure()", execution_count=3, outputs=[picture, picture]),
        new_markdown_cell("made"),
    ]
    return sealed(new_notebook(cells=cells))


def test_a_sound_notebook_has_no_fault():
    assert faults(toy()) == []
    changed = toy()
    changed.cells[0].source = "# Prose may change"
    assert faults(changed) == []


def never_run(notebook):
    del notebook.metadata["art_disc"]


def code_changed(notebook):
    notebook.cells[2].source = "print(2)"


def output_changed(notebook):
    notebook.cells[2].outputs[0].text = "2\n"


def cell_added(notebook):
    notebook.cells.insert(2, new_code_cell("x = 1", execution_count=None))


def last_cell_changed(notebook):
    notebook.cells[-1].source = "made another day"


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (never_run, "metadata"),
        (code_changed, "not those of one run"),
        (output_changed, "not those of one run"),
        (cell_added, "not those of one run"),
        (last_cell_changed, "last cell"),
    ],
)
def test_what_belongs_to_no_run_is_found(plant, told):
    planted = toy()
    plant(planted)
    assert told in "\n".join(faults(planted))


def printed(text, name="stdout"):
    def plant(notebook):
        notebook.cells[2].outputs[0].update(text=text, name=name)

    return plant


def shown(kind):
    def plant(notebook):
        notebook.cells[2].outputs.append(new_output("display_data", data={kind: "x"}))

    return plant


def not_executed(notebook):
    notebook.cells[2].execution_count = None


def picture_lost(notebook):
    notebook.cells[3].outputs.pop()


def failed(notebook):
    notebook.cells[2].outputs = [new_output("error", ename="OSError", evalue="no", traceback=[])]


def large(notebook):
    notebook.cells[3].outputs[0].data["image/png"] = "A" * MOST_BYTES


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (not_executed, "executed as number None"),
        (picture_lost, "draws 2 pictures, 1 are shown"),
        (failed, "an error, OSError: no"),
        (large, "more than 1000000"),
        (printed("data of /home/me/mnist.npz"), "a path of a machine"),
        (printed(r"data of C:\Users\me"), "a path of a machine"),
        (printed("<Axes at 0x7f00>"), "the address of an object"),
        (printed("Traceback (most recent call last):"), "a traceback"),
        (printed("x.py:3: UserWarning: no"), "a warning"),
        (printed("50%|█████  |"), "a progress bar"),
        (printed("10 of 20\r"), "a progress bar"),
        (printed("anything", "stderr"), "stderr: anything"),
        (shown("application/vnd.jupyter.widget-view+json"), "not shown everywhere"),
        (shown("application/javascript"), "not shown everywhere"),
    ],
)
def test_what_a_run_should_not_leave_is_found(plant, told):
    planted = toy()
    plant(planted)
    # of one run, and yet wrong
    found = faults(sealed(deepcopy(planted)))
    assert len(found) == 1
    assert told in found[0]
