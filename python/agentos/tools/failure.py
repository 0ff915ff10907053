"""The one way in which a tool fails towards the model."""

from __future__ import annotations


class ToolFailure(Exception):
    """The tool could not do it. The message is written for the model, which gets it as an error result."""
