"""What a student's server leaves out, beside what .jupyter leaves out everywhere: a tenth of a start, 6 MiB.

labconfig/page_config.json leaves the same out in the browser.
"""

c = get_config()  # noqa: F821  (traitlets defines it)

c.ServerApp.jpserver_extensions = {
    "jupyterlab_jupytext": False,  # notebooks come as notebooks; their sources in Python are the instructor's
    "notebook": False,  # the other interface, at /tree: the course's is JupyterLab
    "notebook_shim": False,  # serves nothing but that one
}
