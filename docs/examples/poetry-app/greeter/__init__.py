"""Greets in colour."""
