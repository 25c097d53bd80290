"""A page of this machine's own, on which suspect pictures are kept, relabelled or dropped.

`board` knows the suspects and what was decided, `server` answers the browser, `thumbnails` makes
the small pictures, `page` holds what the browser is given, and `cleaner` puts it together.
"""
