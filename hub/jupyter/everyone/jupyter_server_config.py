"""What every server on the hub runs with, a student's and an instructor's."""

c = get_config()  # noqa: F821  (traitlets defines it)

c.ServerApp.log_level = "WARN"
c.ServerApp.tornado_settings = {"ws_ping_timeout": 30_000}  # tornado warns of the server's own default
c.KernelManager.transport_encryption = "auto"  # a kernel's ports are open to everybody on the machine
# A kernel that has imported torch holds its memory until it ends: one whose notebook is closed for an hour does.
c.MappingKernelManager.cull_idle_timeout = 3600
c.MappingKernelManager.cull_interval = 300
c.LabApp.extension_manager = "readonly"  # the environment is everybody's
