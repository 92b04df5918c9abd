"""Companion package of the course on generative vision models: data, references, checks, widgets, grading.

Importing the package itself costs nothing; import the module that bears the chapter's name.
"""

__version__ = "0.1.0"
