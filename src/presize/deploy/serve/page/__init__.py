"""The page of the server: a picture is dropped on it, and what the model says is shown."""
