"""Sphinx configuration."""

import sklearn_sketchgn

project = "sklearn_sketchgn"
author = "The sklearn_sketchgn developers"
copyright = "2026, the sklearn_sketchgn developers"
version = release = sklearn_sketchgn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
exclude_patterns = ["_build", "auto_examples/*.py.md5"]
templates_path = ["_templates"]

nitpicky = True
# Their pages are not looked up, as the documentation is built without a network.
nitpick_ignore_regex = [("py:.*", r"(numpy|scipy|sklearn|tracemalloc)(\..*)?")]

myst_enable_extensions = ["amsmath", "dollarmath", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections state the types
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(?!)",
    "abort_on_example_error": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_sketchgn",),
    "reference_url": {"sklearn_sketchgn": None},
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_sketchgn"
html_show_sourcelink = False
html_theme_options = {
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 4,
}
# Pages without sub-pages have nothing to show in the left sidebar.
html_sidebars = {
    page: []
    for page in (
        "algorithm",
        "design_notes",
        "auto_examples/plot_*",
        "changelog",
        "coming_from_mlpregressor",
        "contributing",
        "extending",
        "how_to_choose",
        "performance",
        "quick_start",
        "reliability",
        "scaling",
        "accuracy",
        "uncertainty",
    )
}
