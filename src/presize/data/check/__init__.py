"""Checks of the data before training: what cannot be read, what is there twice, how much of what.

`check_folder` (in `folder`) and `check_loaders` (in `dls`) collect the entries, `scan` reads each
picture once, `copies` finds those that show the same, `judge` says what is wrong, and `report`
holds the result.
"""
