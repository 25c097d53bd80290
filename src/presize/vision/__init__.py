"""Learners for pictures, and the notebook namespace."""
