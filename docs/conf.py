"""What rosdoc2 builds the API's pages with; the site of `make docs` does without."""

extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'myst_parser']
# Docstrings are in Google's style.
napoleon_numpy_docstring = False
autodoc_member_order = 'bysource'
