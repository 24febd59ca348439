"""How `make lab` starts JupyterLab: on notebook 00, for this machine alone, without looking for news or updates."""

import os

import colorlib  # noqa: F401 (sets how OpenMP waits, which kernels inherit: notebooks import torch first)

c = get_config()  # noqa: F821 (Jupyter gives it)
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.allow_root = hasattr(os, "geteuid") and os.geteuid() == 0  # a container has no other user
# an upload is one message, of which Jupyter takes 10 MB and drops the rest without a word; the studio takes 50
c.ServerApp.tornado_settings = {"websocket_max_message_size": 50_100_000}
c.LabApp.default_url = "/lab/tree/00_start_here.ipynb"
