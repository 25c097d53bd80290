"""Augmentation of batches: movements, colour, erasing, normalisation."""
