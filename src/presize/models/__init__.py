"""Architectures, their weights, the head, and groups of parameters."""
