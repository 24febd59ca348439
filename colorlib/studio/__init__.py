"""The studio: colour a photograph with sliders and clicks, in JupyterLab, Notebook, VS Code, Colab or on a page.

    event of a widget -> Studio: State -> Preview (pictures) -> Parts (widgets)
"""

from colorlib.studio.studio import Studio

__all__ = ["Studio"]
