"""What takes part in training: callbacks and their events."""
