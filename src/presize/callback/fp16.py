"""Nothing to import: `to_fp16` is a method of the learner.

Notebooks begin with `from presize.callback.fp16 import *`; this file lets that line run.
"""

__all__: list[str] = []
