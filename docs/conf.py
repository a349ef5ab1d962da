"""How Sphinx makes the documentation: ``nox -s docs``, or

    python -m sphinx -W --keep-going -b html docs build/docs

Nothing is fetched from elsewhere, so that it can be built without internet. With
``FASTBP_DOCS_ONLINE=1`` names of NumPy, SciPy and scikit-learn become links.
"""

import os
import re
import warnings
from contextlib import ExitStack

import matplotlib

import fastbp

project = "fastbp"
author = "The fastbp developers"
copyright = author
release = version = fastbp.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_templates", "sg_execution_times.rst"]
templates_path = ["_templates"]
nitpicky = True
suppress_warnings = ["config.cache"]  # sphinx-gallery is given a function

# --- Pages ----------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Links between files of the project, and where they lead on a web page: those to a
# script to its page in the gallery, those to other Markdown files to a copy.
LINKS = {
    r"\]\(\.\./examples/README\.md\)": r"](auto_examples/index.rst)",
    r"\]\(\.\./examples/(\w+)\.py\)": r"](auto_examples/\1.rst)",
    r"\]\((\.\./[\w/]+\.md)\)": r"](path:\1)",
}


def translate_links(app, docname, source):
    for link, target in LINKS.items():
        source[0] = re.sub(link, target, source[0])


def setup(app):
    app.connect("source-read", translate_links)


# --- Reference ------------------------------------------------------------------------

# A module's page has what its __all__ has, wherever that is defined.
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings have the types, with shapes and ranges
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the template of classes lists them

# Names of other projects, which are links only if these may be asked for theirs.
nitpick_ignore_regex = [("py:.*", r"(numpy|scipy|sklearn|np)\..*")]
if os.environ.get("FASTBP_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable/", None),
        "python": ("https://docs.python.org/3/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
    }

# --- Examples -------------------------------------------------------------------------

matplotlib.use("Agg")


filters = ExitStack()


def refuse_warnings(gallery_conf, script, when):
    """Make an example fail that warns, unless it says that it wants to."""
    filters.close()
    if when == "before":
        filters.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error", UserWarning)


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",  # the others need data: shown, not run
    "download_all_examples": False,
    "min_reported_time": 0,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib", refuse_warnings),
    "reset_modules_order": "both",
    "parallel": 2,
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
}

# --- Looks ----------------------------------------------------------------------------

html_theme = "furo"
html_title = f"fastbp {release}"
html_copy_source = False
html_show_sphinx = False
