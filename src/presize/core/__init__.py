"""What everything stands on: collections, errors, transforms, randomness, geometry."""
