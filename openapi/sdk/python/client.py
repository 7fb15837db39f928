from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Unpack, cast
from urllib.parse import urljoin

from .schema import (
    AccessToken, ChangeList, CreatedLink, Folder, Link, ListChangesQuery, ListFilesQuery, ListFoldersQuery,
    ListLinksQuery, NewLink, NewToken, PersonalToken, StoredFile, User
)
from .wire import (
    PIECE_BYTES, Body, ConnectionLost, MagicStoreError, Source, Wire, basic_authorization, header_field, on_the_wire,
    opened, query_string, repr_digest, segment, upload_fields
)

# Address of the server, unless another one is given.
BASE_URL = "http://127.0.0.1:5000"

# Share of an access token's lifetime after which a new one is requested.
RENEWAL_SHARE = 0.9

# The largest page of the API.
MAX_PAGE_ENTRIES = 1000


class Creation(NamedTuple):
    """The request that creates a resumable upload."""

    method: str
    path: str
    fields: Mapping[str, str]


class Download(io.RawIOBase):
    """
    The bytes of a file, as a binary stream. One that is cut goes on where it was, as long as the file has the same
    content. If all bytes do not match the digest of the file, the read that gets the last of them raises.
    """

    size: int
    "The number of bytes in the stream."
    media_type: str
    etag: str
    "The entity tag of the file, in quotes."

    def __init__(self, store: MagicStore, path: str, first: int, last: int | None) -> None:
        super().__init__()
        self._store, self._path, self._position, self._last = store, path, first, last
        self._response: http.client.HTTPResponse | None = None
        self.etag = ""
        response = self._response = store._wire.retried(self._request)
        self.size = int(header_field(response, "content-length"))
        self.media_type = header_field(response, "content-type")
        self.etag = header_field(response, "etag")
        self._end = first + self.size
        self._expected = header_field(response, "repr-digest") if first == 0 and last is None else None
        self._hash = hashlib.sha256()
        if self.size == 0:
            self._verify()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        if len(view) == 0 or self._position == self._end:
            return 0
        count = self._store._wire.retried(lambda: self._read_some(view))
        self._position += count
        self._hash.update(view[:count])
        if self._position == self._end:
            self._verify()
        return count

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        super().close()

    def _request(self) -> http.client.HTTPResponse:
        # With this field a server that redirects downloads to its bucket does not: there, nothing tells the digest.
        headers = {"Want-Repr-Digest": "sha-256=9"}
        is_range = self._position > 0 or self._last is not None
        if is_range:
            headers["Range"] = f"bytes={self._position}-{'' if self._last is None else self._last}"
        if self.etag != "":
            headers["If-Match"] = self.etag
        response = self._store._send("GET", self._path, headers)
        if is_range and not response.headers.get("content-range", "").startswith(f"bytes {self._position}-"):
            response.close()
            raise ConnectionLost("the response is not the range that was requested")
        return response

    def _read_some(self, view: memoryview) -> int:
        if self._response is None:
            self._response = self._request()
        try:
            with on_the_wire():
                count = self._response.readinto(view)
            # http.client reports a response that is cut as its end.
            if count == 0:
                raise ConnectionLost("the download was cut")
            return count
        except ConnectionLost:
            self._response.close()
            self._response = None
            raise

    def _verify(self) -> None:
        if self._expected is not None and self._expected != repr_digest(self._hash.digest()):
            raise MagicStoreError(200, "digest_mismatch", f"{self._path} is not what its digest says")


class MagicStore:
    """
    A store, for one account. Safe for several threads. Names are paths such as `reports/2026/q1.pdf`; missing folders
    are created with a file.

    With `username` and `password`, the client gets access tokens and renews them. `on_code` is called when the account
    has a second factor, and returns a one-time code or a recovery code. For programs without a user, pass the `token`
    of `create_token`.

    `timeout` is how many seconds the connection may stall. What changes nothing, and the appends of `put_resumable`,
    is tried again up to `retries` times after a lost connection or while the server is unavailable.
    """

    def __init__(
        self, base_url: str = BASE_URL, *, username: str | None = None, password: str | None = None,
        token: str | None = None, on_code: Callable[[], str] | None = None, timeout: float = 60.0, retries: int = 5,
        context: ssl.SSLContext | None = None
    ) -> None:
        self._wire = Wire(base_url, timeout=timeout, retries=retries, context=context)
        self._basic = None if username is None or password is None else basic_authorization(username, password)
        self._token = token
        self._on_code = on_code
        self._issued: str | None = None
        self._renew_at = 0.0
        self._lock = threading.Lock()

    def register(self, username: str, password: str) -> User:
        """Creates an account. The client needs no credentials for it."""
        body = {"username": username, "password": password}
        return cast(User, self.request("POST", "/api/users", body, credentials="none"))

    def create_token(self, **token: Unpack[NewToken]) -> PersonalToken:
        """Creates a personal access token, which is shown only once. Needs the password."""
        return cast(PersonalToken, self.request("POST", "/api/tokens", token, credentials="password"))

    def put(
        self, name: str, source: Source, *, media_type: str | None = None, modified_at: datetime | None = None,
        if_match: str | None = None, if_none_match: str | None = None
    ) -> StoredFile:
        """
        Creates or replaces a file. The server verifies the digest before the file becomes visible, unless `source`
        can't seek: then its bytes are sent without a length, and this raises if others were stored.
        """
        fields = upload_fields(source, media_type, modified_at, if_match, if_none_match)
        with opened(source) as stream:
            body = Body(stream)
            headers = {**fields, **body.headers}
            stored = cast(StoredFile, self._json("PUT", f"/uploads/{segment(name)}", headers, body))
        return body.verified(stored)

    def put_resumable(
        self, name: str, source: Source, *, upload_id: str | None = None,
        on_created: Callable[[str], object] | None = None, media_type: str | None = None,
        modified_at: datetime | None = None, if_match: str | None = None, if_none_match: str | None = None
    ) -> StoredFile:
        """
        Creates or replaces a file as `put` does, in an upload that continues from its last stored byte after a lost
        connection or while the server is unavailable. `source` must be able to seek. `on_created` gets the id of the
        upload before its bytes are sent: with it as `upload_id`, a later call with the same bytes continues.
        """
        fields = upload_fields(source, media_type, modified_at, if_match, if_none_match)
        with opened(source) as stream:
            body = Body(stream)
            creation = Creation("PUT", f"/uploads/{segment(name)}", fields)
            stored = self._resumable(body, creation, "/api/uploads", upload_id, on_created)
        return body.verified(cast(StoredFile, stored))

    def get(self, name: str, *, first: int = 0, last: int | None = None, version: str | None = None) -> Download:
        """Opens a file or a range of its bytes, from `first` to `last`. Close it, or use it with `with`."""
        return Download(self, f"/uploads/{segment(name)}{query_string({'version': version})}", first, last)

    def download(self, name: str, path: str | os.PathLike[str], *, version: str | None = None) -> None:
        """Writes a file to a path of this computer, which changes only once all bytes are there and verified."""
        target = Path(path)
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with self.get(name, version=version) as source, part.open("xb") as file:
                while piece := source.read(PIECE_BYTES):
                    file.write(piece)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def file(self, name: str) -> StoredFile:
        return cast(StoredFile, self.request("GET", f"/api/files/{segment(name)}"))

    def files(self, **query: Unpack[ListFilesQuery]) -> Iterator[StoredFile]:
        """Lists all files by name, or with `folder` those directly in one, which is `/` for the root; page by page."""
        return self._entries("/api/files", "files", query)

    def move(self, name: str, new_name: str) -> StoredFile:
        """Renames a file, or moves it to another folder. Fails with `name_taken` if the new name exists."""
        return cast(StoredFile, self.request("PATCH", f"/api/files/{segment(name)}", {"name": new_name}))

    def remove(self, name: str, *, permanent: bool = False) -> None:
        """Moves a file to the trash, or deletes it for good."""
        self.request("DELETE", f"/uploads/{segment(name)}", query={"permanent": permanent})

    def folders(self, **query: Unpack[ListFoldersQuery]) -> Iterator[Folder]:
        """Lists the folders directly in `folder` or in the root, or with `all=True` all folders; page by page."""
        return self._entries("/api/folders", "folders", query)

    def create_folder(self, name: str) -> Folder:
        """Creates a folder, if it does not exist. Fails with `name_taken` if a file has its name."""
        return cast(Folder, self.request("PUT", f"/api/folders/{segment(name)}"))

    def move_folder(self, name: str, new_name: str) -> Folder:
        """Renames or moves a folder with all that is in it."""
        return cast(Folder, self.request("PATCH", f"/api/folders/{segment(name)}", {"name": new_name}))

    def remove_folder(self, name: str, *, recursive: bool = False, permanent: bool = False) -> None:
        """Deletes an empty folder, or with `recursive` one with all that is in it: the files go to the trash."""
        query = {"recursive": recursive, "permanent": permanent}
        self.request("DELETE", f"/api/folders/{segment(name)}", query=query)

    def changes(self, cursor: str | None = None, **query: Unpack[ListChangesQuery]) -> ChangeList:
        """
        Lists what has changed since the `next` of an earlier call, or waits up to `wait` seconds until something has.
        If `reset` is true, as without a cursor, list all folders and files again, then go on with `next`.
        """
        wait = query.get("wait", 0)
        return cast(ChangeList, self.request("GET", "/api/changes", query={**query, "cursor": cursor}, wait=wait))

    def create_link(self, **link: Unpack[NewLink]) -> CreatedLink:
        """Shares a file or folder, or asks for files. `url` of the link is its address."""
        created = cast(CreatedLink, self.request("POST", "/api/links", link))
        # A path, if the server does not know its own address.
        created["url"] = urljoin(self._wire.url, created["url"])
        return created

    def links(self, **query: Unpack[ListLinksQuery]) -> Iterator[Link]:
        """Lists your links, newest first."""
        return self._entries("/api/links", "links", query)

    def revoke_link(self, link_id: int) -> None:
        self.request("DELETE", f"/api/links/{link_id}")

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *,
        query: Mapping[str, object] | None = None, credentials: Literal["token", "password", "none"] = "token",
        wait: float = 0
    ) -> Any:
        """
        Sends a request to any operation of the API that takes and returns JSON. `path` is percent-encoded. With
        `credentials="password"`, it has the password instead of an access token, as some operations need. `wait` is
        how many seconds longer the response may take.
        """
        target = path + query_string(query or {})
        content = None if body is None else Body(io.BytesIO(json.dumps(body).encode()))
        headers = {} if content is None else {**content.headers, "Content-Type": "application/json"}

        def attempt() -> Any:
            return self._json(method, target, headers, content, credentials=credentials, wait=wait)

        return self._wire.retried(attempt) if method == "GET" else attempt()

    def _entries(self, path: str, key: str, query: Mapping[str, object]) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = self.request("GET", path, query={"limit": MAX_PAGE_ENTRIES, **query, "cursor": cursor})
            yield from page[key]
            cursor = page["next"]
            if cursor is None:
                return

    def _resumable(
        self, body: Body, creation: Creation, uploads: str, upload_id: str | None,
        on_created: Callable[[str], object] | None
    ) -> Any:
        """Creates an upload, unless there is one, and sends what is missing of it. `uploads` is the path of all."""
        if body.size is None:
            raise ValueError("the source of a resumable upload must be able to seek")
        if upload_id is None:
            upload_id = self._wire.retried(lambda: self._create_upload(body, creation))
            if on_created is not None:
                on_created(upload_id)
        path = f"{uploads}/{segment(upload_id)}"
        return self._wire.retried(lambda: self._append(path, body), lambda: body.offset)

    def _create_upload(self, body: Body, creation: Creation) -> str:
        # With a length of 0 the upload would be complete: the response would have the file, and no id.
        length = {"Upload-Length": str(body.size)} if body.size else {}
        headers = {
            **creation.fields, **length, "Repr-Digest": body.digest, "Upload-Complete": "?0", "Content-Length": "0"
        }
        with self._send(creation.method, creation.path, headers) as response:
            return header_field(response, "location").rsplit("/", 1)[-1]

    def _append(self, path: str, body: Body) -> Any:
        try:
            with self._send("HEAD", path, {}) as response:
                offset = int(header_field(response, "upload-offset"))
        except MagicStoreError:
            # The response to HEAD has no body that says why.
            self._json("GET", path, {})
            raise
        headers = {
            **body.rest(offset), "Content-Type": "application/partial-upload", "Upload-Offset": str(offset),
            "Upload-Complete": "?1"
        }
        return self._json("PATCH", path, headers, body)

    def _json(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None = None, *,
        credentials: Literal["token", "password", "none"] = "token", wait: float = 0
    ) -> Any:
        with self._send(method, path, headers, body, credentials=credentials, wait=wait) as response:
            with on_the_wire():
                text = response.read()
            try:
                return json.loads(text) if text else None
            except ValueError as error:
                raise MagicStoreError(response.status, None, "the response is no JSON") from error

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None = None, *,
        credentials: Literal["token", "password", "none"] = "token", wait: float = 0
    ) -> http.client.HTTPResponse:
        """Sends a request with its credentials. The caller closes the response. Raises unless it is a success."""
        if credentials == "password" and self._basic is not None:
            return self._send_password(method, path, headers, body)
        authorization = {} if credentials == "none" else self._authorization()
        try:
            return self._wire.exchange(method, path, {**headers, **authorization}, body, wait)
        except MagicStoreError as error:
            if error.status == 401:
                self._issued = None
            raise

    def _send_password(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None
    ) -> http.client.HTTPResponse:
        sent = {**headers, "Authorization": cast(str, self._basic)}
        try:
            return self._wire.exchange(method, path, sent, body)
        except MagicStoreError as error:
            if error.code != "second_factor_required" or self._on_code is None:
                raise
            return self._wire.exchange(method, path, {**sent, "One-Time-Code": self._on_code()}, body)

    def _authorization(self) -> dict[str, str]:
        if self._token is not None:
            return {"Authorization": f"Bearer {self._token}"}
        if self._basic is None:
            return {}
        with self._lock:
            if self._issued is None or time.monotonic() >= self._renew_at:
                issued = cast(AccessToken, self._json("GET", "/api/token", {}, credentials="password"))
                self._issued = issued["token"]
                self._renew_at = time.monotonic() + issued["duration"] * RENEWAL_SHARE
            return {"Authorization": f"Bearer {self._issued}"}
