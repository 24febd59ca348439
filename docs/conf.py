"""Sphinx's settings. scripts/build_site.py lays the sources out in build/source, as the repository has them, and calls."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent), str(HERE.parent / "scripts")]

project = html_title = "How a machine colours a photograph"
author = "the authors of colorlib"
copyright = "the authors of colorlib: prose and figures CC BY 4.0, code MIT"
root_doc = "index"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "mathml", "colorlib_pages"]

nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # captions with equations
nb_merge_streams = True
nb_code_prompt_show = "The installation cell"
myst_enable_extensions = ["amsmath", "attrs_inline", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None, "mailto": None,
                    "checkout": "{{path}}"}  # a file that is no page: from the page to it
suppress_warnings = [
    "mystnb.unknown_mime_type",
    "myst.header",  # a README may begin a part at any level
    "misc.highlighting_failure",  # excerpts with "..."
]

default_role = "py:obj"  # `name` in a docstring: a link where there is one, else code
napoleon_use_param = False  # "real, fake: ..." stays one line
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
add_module_names = False

html_theme = "sphinx_book_theme"
html_static_path, templates_path = ["_static"], ["_templates"]
html_sidebars = {"**": ["book-title.html", "search-button-field.html", "sbt-sidebar-nav.html"]}
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_show_search_summary = False  # it would fetch the pages, which a browser forbids on file://
html_permalinks_icon = "#"
html_domain_indices = html_use_index = False
html_theme_options = {
    "home_page_in_toc": True,
    "use_fullscreen_button": False,
    "use_download_button": False,  # colorlib_pages has its own: the notebook as it is committed
    "show_toc_level": 2,
    "search_bar_text": "Search the book ...",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "navigation_with_keys": False,
    "navbar_persistent": [],
}
copybutton_selector = ":not(.output) > div.highlight > pre"
