"""What every server on the hub runs with, a student's and an instructor's."""

import logging
import os

c = get_config()  # noqa: F821  (traitlets defines it)

# Terminals start where the files are, and keep the PATH on which `course` is; a login shell sets its own.
os.chdir(os.environ.get("JUPYTERHUB_ROOT_DIR", "."))
c.ServerApp.terminado_settings = {"shell_command": [os.environ.get("SHELL", "/bin/sh")]}
c.ServerApp.log_level = "WARN"
# The server waits 90 seconds for a browser that says nothing, tornado says that it would rather wait 30.
logging.getLogger("tornado.general").addFilter(lambda said: "websocket_ping_timeout" not in said.getMessage())
c.KernelManager.transport_encryption = "auto"  # a kernel's ports are open to everybody on the machine
# What torch has taken is free again only when its kernel ends: an hour after its notebook was last open.
c.MappingKernelManager.cull_idle_timeout = 3600
c.MappingKernelManager.cull_interval = 300
c.LabApp.extension_manager = "readonly"  # the environment is everybody's
