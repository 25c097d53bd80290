"""What training is made of: schedules, optimizers, losses, metrics, precision, checkpoints."""
