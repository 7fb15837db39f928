"""A client for MagicStore that needs the standard library alone. README.md beside it explains it."""

from .client import Download, MagicStore
from .wire import ConnectionLost, MagicStoreError

__all__ = ["ConnectionLost", "Download", "MagicStore", "MagicStoreError"]
