# SPDX-License-Identifier: MIT
"""The exceptions of hepgen_fastsim: one family, shared with the C++ core.

The bindings translate ``hepgen_fastsim::Error``, ``ModelError`` and ``InputError`` of C++ to the classes below: a
single ``except hepgen_fastsim.Error`` catches whatever the package raises on purpose. Every message is a sentence that
says what was expected and what was found.
"""

__all__ = ["Error", "InputError", "ModelError"]


class Error(Exception):
    """Base class of every error that hepgen_fastsim raises on purpose."""


class ModelError(Error):
    """A model file cannot be used: not a model, damaged, of another format, or unfit for the task that was asked."""


class InputError(Error):
    """Input data or arguments are wrong: a file, an array or a value that does not meet its description."""
