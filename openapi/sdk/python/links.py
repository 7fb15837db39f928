from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

from .client import Creation, MagicStore
from .schema import SharedUploadResult
from .wire import Body, Source, opened, segment, upload_fields

# The largest file that `upload_by_link` sends in one request.
MAX_PLAIN_BYTES = 8 * 1024 ** 2


def upload_by_link(
    url: str, name: str, source: Source, *, upload_id: str | None = None,
    on_created: Callable[[str], object] | None = None, media_type: str | None = None,
    modified_at: datetime | None = None, timeout: float = 60.0, retries: int = 5, context: ssl.SSLContext | None = None
) -> SharedUploadResult:
    """
    Uploads a file by a link of the kind `upload`, without a credential. `url` is the address of the link, and `name`
    its `fileName`, if it has one. Over 8 MiB, or with the `upload_id` of an earlier call, the upload continues after a
    lost connection as `put_resumable` does. A link with a `fileName` stores one file, once: a 404 after a lost response
    can mean that it has.
    """
    found = re.fullmatch(r"(https?://.+)/s/([^/?#]+)", url)
    if found is None:
        raise ValueError("url is the whole address of a link, such as https://files.example.org/s/...")
    base_url, link = found[1], f"/s/{segment(found[2])}"
    store = MagicStore(base_url, timeout=timeout, retries=retries, context=context)
    fields = upload_fields(source, media_type, modified_at, None, None)
    with opened(source) as stream:
        body = Body(stream)
        if upload_id is None and (body.size is None or body.size <= MAX_PLAIN_BYTES):
            stored: Any = store._json("PUT", f"{link}/files/{segment(name)}", {**fields, **body.headers}, body)
        else:
            creation = Creation("POST", f"{link}/uploads", {**fields, "Content-Disposition": disposition(name)})
            stored = store._resumable(body, creation, f"{link}/uploads", upload_id, on_created)
    return body.verified(cast(SharedUploadResult, stored))


def disposition(name: str) -> str:
    """The name of a file in a header (RFC 8187 section 3.2.1)."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
