"""A client for MagicStore that needs the standard library alone. README.md beside it explains it."""

from .client import Download, MagicStore
from .links import upload_by_link
from .wire import ConnectionLost, MagicStoreError

__all__ = ["ConnectionLost", "Download", "MagicStore", "MagicStoreError", "upload_by_link"]
