"""Prediction service: one student behind HTTP.

Requires FastAPI, uvicorn, msgspec and prometheus-client: ``pip install 'soft-students[serve]'``.
"""

try:
    import fastapi  # noqa: F401
    import msgspec  # noqa: F401
    import prometheus_client  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"The prediction service needs {error.name}, which is not installed. Install it with: "
        "pip install 'soft-students[serve]'"
    ) from error

from soft_students.serving.application import create_app
from soft_students.serving.limits import Limits
from soft_students.serving.server import LOOPBACK_HOSTS, listen, run

__all__ = ["LOOPBACK_HOSTS", "Limits", "create_app", "listen", "run"]
