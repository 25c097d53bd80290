"""Where a trained model errs, and why."""
