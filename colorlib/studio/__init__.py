"""The studio: a photograph coloured with sliders and clicks, in JupyterLab, Notebook, VS Code, Colab and as a page."""

from colorlib.studio.studio import Studio

__all__ = ["Studio"]
