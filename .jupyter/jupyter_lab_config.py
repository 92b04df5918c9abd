"""What `make lab` sets in JupyterLab. The JSON files beside this one turn off what a student has no use for:
they leave nbgrader's list of assignments and Validate; formgrader is the instructor's, the news is nobody's.
The course brings no language servers: what would look for them at each start is off as well.
They also save what widgets show with a notebook: opened again, it would say "model not found" in their place.
"""

import logging

c = get_config()  # noqa: F821  (traitlets defines it)

c.LabApp.default_url = "/lab/tree/notebooks/01_autoencoders.ipynb"
c.ServerApp.log_level = "WARN"  # leaves the address
c.ServerApp.allow_root = True  # in a container there may be nobody else
# The server waits 90 seconds for a browser that says nothing, tornado says that it would rather wait 30.
logging.getLogger("tornado.general").addFilter(lambda said: "websocket_ping_timeout" not in said.getMessage())
c.KernelManager.transport_encryption = "auto"  # on a shared machine others could listen to a kernel
