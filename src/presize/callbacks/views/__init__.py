"""Places where the course of a fit is shown: a notebook, a terminal, plain lines."""
