"""Settings of the documentation site: `make docs` builds it."""

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import get_type_hints

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from numpy.typing import ArrayLike  # noqa: E402
from sphinx.util.typing import stringify_annotation  # noqa: E402

import art_disc  # noqa: E402 - from this checkout
from docs import api_pages  # noqa: E402

project = "art_disc"
author = "The art_disc developers"
version = release = art_disc.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# the whole checkout is the source, so that links between README, docs and notebooks are the same
# here and on a code host
root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/**", "benchmarks/*.md", "*.md"]
exclude_patterns = [
    *(".*", "art_disc", "build", "dist", "runs", "studies", "tests"),
    *("docs/_build", "docs/root", "docs/static"),
]

html_theme = "furo"
html_title = "art_disc"
html_show_copyright = False
# the first page of the site leads to that of the docs
html_extra_path = ["root"]
html_static_path = ["static"]
html_css_files = ["site.css"]

# notebooks are shown as they are committed
nb_execution_mode = "off"
myst_heading_anchors = 4
highlight_language = "text"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
default_role = "literal"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nitpicky = True
# types in signatures: of other packages, whose pages are not fetched, or no public names
nitpick_ignore_regex = [("py:class", r"\w+(\.\w+)+|Any")]

api_pages.write()

# what is made of NumPy's two aliases, what was written, and defaults that are no Python
_WRITTEN = {
    r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[([^][]*(?:\[[^][]*\])?)\]\]": (
        r"~numpy.typing.NDArray[\1]"
    ),
    re.escape(stringify_annotation(ArrayLike, "smart")): "~numpy.typing.ArrayLike",
    r"<factory>": "...",
    r"= (\w+)\([^()]*\n[^()]*\)": r"= \1()",
}


def _as_written(app, what, name, obj, options, signature, returns):
    """Write signatures as their authors did."""
    made = (signature, returns)
    for found, written in _WRITTEN.items():
        made = tuple(text and re.sub(found, written, text) for text in made)
    return made


def _looked_up(app, name, obj, options, bases):
    """Leave out bases that have no page."""
    bases[:] = api_pages.shown_bases(obj)


def _not_ours(app, what, name, obj, skip, options):
    """Leave out the methods that scikit-learn makes, whose text links into its own pages."""
    return skip or (getattr(obj, "__module__", None) or "").startswith("sklearn.") or None


def _without_rules(app, obj, bound):
    """Leave the rules of records' fields out of their types."""
    with suppress(NameError, TypeError, AttributeError):
        obj.__annotations__ = get_type_hints(obj)


def _for_napoleon(app, what, name, obj, options, lines):
    """Keep it from taking for a type what is none: `a` of `a, b: text`, and `a` of `a: b`."""
    if what == "property":
        lines[0] = lines[0].replace(":", "\0")
    several = re.compile(r"^ +\w+(, \w+)+: ")
    lines[:] = [several.sub(lambda names: names[0].replace(", ", ","), line) for line in lines]


def _bars(app, what, name, obj, options, lines):
    """Let bars be bars, and what was hidden from napoleon colons."""
    lines[:] = [api_pages.bars(line).replace("\0", ":") for line in lines]


def setup(app) -> None:
    """Connect them."""
    app.connect("autodoc-before-process-signature", _without_rules)
    app.connect("autodoc-process-signature", _as_written)
    app.connect("autodoc-process-bases", _looked_up)
    app.connect("autodoc-skip-member", _not_ours)
    app.connect("autodoc-process-docstring", _for_napoleon, priority=400)
    app.connect("autodoc-process-docstring", _bars)
