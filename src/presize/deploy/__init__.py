"""What was trained gets used: model files and predictions."""
