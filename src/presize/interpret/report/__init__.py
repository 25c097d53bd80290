"""The report: one HTML file on what was trained, how well it does, and where it errs."""
