"""The server: a model answers over HTTP. `run.serve` starts it, `app.create_app` makes it."""

import importlib.util

_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")

if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
    raise ImportError(
        f"The server needs {' and '.join(missing)}, not installed here. Install what it needs: "
        '`pip install "presize[serve]"`.'
    )
