"""Keeping decoded pictures from one epoch to the next, in memory or on a disk."""
