"""Counts bytes, in C."""

from tally._count import count

__all__ = ["count"]
