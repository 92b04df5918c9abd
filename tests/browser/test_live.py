"""Live widgets in JupyterLab: the mouse, the keyboard and the kernel move one and the same state."""
import nbformat, pytest, time
pytestmark = pytest.mark.browser
SRC = '''
import sys; sys.path.insert(0, "/tmp/w")
from synth import widgets
ws = widgets()
'''
def test_try(lab, open_notebook, page, screenshot):
    nb = nbformat.v4.new_notebook()
    nb.cells=[nbformat.v4.new_code_cell(SRC)]+[nbformat.v4.new_code_cell(f"ws['{k}']") for k in ("scrubber","scatter","map","threshold")]
    nbformat.write(nb, lab.root/"a.ipynb")
    t=time.time()
    n=open_notebook("a.ipynb"); print("open",time.time()-t)
    n.run_all(); print("run",time.time()-t)
    w=n.widget(1); w.caption.wait_for(); print("cap",time.time()-t, w.caption.text_content())
    w.drag("latent numbers",5); print(w.caption.text_content(), n.kernel("print(ws['scrubber'].index)"), time.time()-t)
    w.slider("latent numbers").press("ArrowLeft"); print(w.caption.text_content(), n.kernel("print(ws['scrubber'].index)"))
    page.set_viewport_size({"width":1200,"height":2800})
    screenshot("try")
    p=w.pixels("frame"); print(p.shape)
