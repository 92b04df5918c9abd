"""Chapter 9 on a folder of another make: what it does with published weights, at the size of a test."""

from pathlib import Path

import nbclient
import nbformat
import pytest

CHAPTER = Path(__file__).parents[2] / "solutions" / "09_stable_diffusion.ipynb"

pytestmark = pytest.mark.slow


def test_the_chapter_runs_on_a_folder_that_the_hub_provides(folder, monkeypatch):
    monkeypatch.setenv("SD_MODEL_DIR", str(folder))
    notebook = nbformat.read(CHAPTER, as_version=4)
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=600).execute()
    said = [output.text for cell in notebook.cells for output in cell.get("outputs", ()) if "text" in output]
    assert any("the folder that SD_MODEL_DIR names" in text for text in said)
    assert not any("error" in output.output_type for c in notebook.cells for output in c.get("outputs", ()))
