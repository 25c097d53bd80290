"""Import paths that notebooks use; the callbacks themselves are in `presize.callbacks`."""
