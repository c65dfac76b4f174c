"""A made-up patient's head study as a scanner would send it: for the demo and for tests, drawn from numbers alone."""

from scp.phantom.study import identity, study

__all__ = ["identity", "study"]
