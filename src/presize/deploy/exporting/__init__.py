"""A trained model for other programs: ONNX and torch.export, checked before it is written."""
