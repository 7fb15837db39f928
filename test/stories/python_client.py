"""Run by python-sdk.check.ts, beside the client written to ./magicstore. Prints one line per check and its result."""

import hashlib
import hmac
import io
import os
import socket
import struct
import sys
import threading
import time
import tracemalloc
from base64 import b32decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from magicstore import ConnectionLost, MagicStore, MagicStoreError, upload_by_link

MIB = 1024 ** 2
BASE_URL = sys.argv[1]
PASSWORD = "pässword 😀"


def report(tried: str, outcome: object) -> None:
    print(f"{tried}: {outcome}", flush=True)


def failure_of(act: Callable[[], object]) -> str:
    try:
        act()
        return "none"
    except MagicStoreError as error:
        return f"{error.status} {error.code}"
    except Exception as error:
        return type(error).__name__


class Wire:
    """
    A way to the server. `faults` befall one connection each, the next that is opened: `("cut up", n)` ends it after n
    bytes from the client, `("cut down", n)` after n from the server; `("flip down", n)` changes the byte there.
    """

    def __init__(self) -> None:
        self.faults: list[tuple[str, int]] = []
        self.heads: list[str] = []
        self._sent: list[list[int]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            host, port = urlsplit(BASE_URL).netloc.split(":")
            server = socket.create_connection((host, int(port)))
            kind, count = self.faults.pop(0) if self.faults else ("none", 0)
            sent = [0]
            self._sent.append(sent)
            for way, source, target in (("up", client, server), ("down", server, client)):
                fault = (kind.split()[0], count) if kind.endswith(way) else ("none", 0)
                threading.Thread(target=self._pass, args=(way, source, target, fault, sent), daemon=True).start()

    def _pass(self, way: str, source: socket.socket, target: socket.socket, fault: tuple[str, int], sent: list[int]) -> None:
        kind, count = fault
        passed = 0
        try:
            while piece := source.recv(64 * 1024):
                if way == "up":
                    if passed == 0:
                        self.heads.append(piece.split(b"\r\n\r\n")[0].decode("latin-1"))
                    sent[0] += len(piece)
                if kind == "flip" and passed <= count < passed + len(piece):
                    at = count - passed
                    piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1:]
                passed += len(piece)
                if kind == "cut" and passed >= count:
                    break
                target.sendall(piece)
        except OSError:
            pass
        try:
            if kind != "cut":
                return target.shutdown(socket.SHUT_WR)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)
                end.close()
        except OSError:
            pass

    def sent(self) -> int:
        """The bytes that the connections since the last call have sent, and not what older ones still send."""
        counts, self._sent = self._sent, []
        return sum(count for [count] in counts)

    def requests(self, *fields: str) -> str:
        """The methods of the requests since the last call, each with the values of some of its fields."""
        heads, self.heads = self.heads, []
        lines = [head.split("\r\n") for head in heads]
        return ", ".join(" ".join([line[0].split()[0], *(
            value for text in line[1:] for name, _, value in [text.partition(": ")] if name in fields
        )]) for line in lines)


def answering(*answers: str) -> str:
    """The address of a proxy that gives these answers, and then none."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            client, _ = server.accept()
            client.recv(64 * 1024)
            client.sendall(f"HTTP/1.1 {answer}".replace("\n", "\r\n").encode())
            client.close()
        server.close()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}"


class Bytes(io.RawIOBase):
    """A file of some length that is in no memory. `fails_at` is an offset at which a read raises."""

    def __init__(self, size: int, fails_at: int | None = None) -> None:
        super().__init__()
        self.size, self.fails_at, self.at, self.armed = size, fails_at, 0, False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        # The first reading is that for the digest.
        self.at, self.armed = offset, True
        return offset

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        count = min(len(view), self.size - self.at, MIB - self.at % MIB)
        if self.armed and self.fails_at is not None and self.at + count > self.fails_at:
            raise RuntimeError("the disk is broken")
        view[:count] = (self.at // MIB % 251).to_bytes(1, "big") * count
        self.at += count
        return count


def sha256_of(source: Bytes) -> str:
    digest = hashlib.sha256()
    while piece := source.read(MIB):
        digest.update(piece)
    return digest.hexdigest()


def one_time_code(secret: str) -> str:
    """RFC 6238."""
    step = struct.pack(">Q", int(time.time()) // 30)
    mac = hmac.digest(b32decode(secret + "=" * (-len(secret) % 8)), step, "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7FFFFFFF) % 10 ** 6:06}"


def peak_of(act: Callable[[], object]) -> str:
    """Whether an act that moves 32 MiB needs much memory."""
    tracemalloc.start()
    act()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return "bounded" if peak < 4 * MIB else f"{peak} bytes"


def by_links(ann: MagicStore, wire: Wire) -> None:
    """Uploads by links for one upload, over a wire that is cut."""
    ann.create_folder("inbox")
    cursor = ann.changes()["next"]

    def link_to(name: str, **terms: Any) -> str:
        created = ann.create_link(name="inbox", kind="upload", fileName=name, **terms)
        return wire.url + urlsplit(created["url"]).path

    odd = "it's (1)*ü.txt"
    small = link_to(odd, maxBytes=5)
    report("a small file by a link", upload_by_link(small, odd, b"hello") == {
        "name": odd, "size": 5, "sha256": hashlib.sha256(b"hello").hexdigest()
    })
    report("the same link again", failure_of(lambda: upload_by_link(small, odd, b"hello")))
    big = 20 * MIB
    expected = sha256_of(Bytes(big))
    cut = link_to("cut it's.bin", sha256=expected)
    wire.requests()
    wire.faults = [("none", 0), ("none", 0), ("cut up", 9 * MIB)]
    peak = peak_of(lambda: report("a large one that is cut", upload_by_link(cut, "cut it's.bin", Bytes(big))["sha256"] == expected))
    report("how it was sent", [peak, wire.requests("Authorization")])
    created: list[str] = []
    later = link_to("later.bin")
    failing = Bytes(big, 15 * MIB)
    report("a source that fails", failure_of(lambda: upload_by_link(later, "later.bin", failing, on_created=created.append)))
    wire.requests()
    report("going on in a later call", upload_by_link(later, "later.bin", Bytes(big), upload_id=created[0])["size"] == big)
    report("how it went on", wire.requests())
    damaged = link_to("damaged.txt")
    wire.faults = [("flip up", 700)]
    report("a damaged file", failure_of(lambda: upload_by_link(damaged, "damaged.txt", b"x" * 1000)))
    report("the link stays", upload_by_link(damaged, "damaged.txt", b"x" * 1000)["size"])
    for what, size in (("small", 5), ("large", big)):
        other, full = link_to(f"{what}.bin", sha256="0" * 64), link_to(f"{what}.bin", maxBytes=4)
        report(f"other bytes than those of a link, {what}", failure_of(lambda: upload_by_link(other, f"{what}.bin", Bytes(size))))
        report(f"more than a link takes, {what}", failure_of(lambda: upload_by_link(full, f"{what}.bin", Bytes(size))))
        report(f"another name, {what}", failure_of(lambda: upload_by_link(full, "x", Bytes(size))))
    lost, gone = link_to("lost.txt"), link_to("gone.bin")
    wire.faults = [("cut down", 0)]
    report("a lost answer, small", [failure_of(lambda: upload_by_link(lost, "lost.txt", b"lost")), ann.file("inbox/lost.txt")["size"]])
    wire.faults = [("none", 0), ("none", 0), ("cut down", 0)]
    report("a lost answer, large", [failure_of(lambda: upload_by_link(gone, "gone.bin", Bytes(big))), ann.file("inbox/gone.bin")["size"] == big])
    report("what the owner is told", [change["name"] for change in ann.changes(cursor)["changes"]])
    for address in ("/s/secret", "files", "https://files.example.org/uploads/x"):
        report("no address of a link", failure_of(lambda: upload_by_link(address, "x", b"x")))
    named = MagicStore(f"http://0.0.0.0:{urlsplit(BASE_URL).port}/", username="zoë", password=PASSWORD)
    link = named.create_link(name="inbox", kind="upload", fileName="named.txt")
    report("the address of a server that does not know it", link["url"].startswith("http://0.0.0.0:"))


def main() -> None:
    wire = Wire()
    ann = MagicStore(BASE_URL + "/", username="zoë", password=PASSWORD, retries=0)
    report("before registration", failure_of(lambda: ann.file("early.txt")))
    report("registration", ann.register("zoë", PASSWORD)["username"])
    report("a second registration", failure_of(lambda: ann.register("zoë", PASSWORD)))

    names = ["a/b/c.txt", "50 % off?.txt", "#1 & 2.txt", "ü 😀.txt", "%2F.txt", "a/..b", "back\"slash'.txt", "a+b=c;d"]
    for name in names:
        ann.put(name, name.encode())
        with ann.get(name) as stream:
            if stream.read() != name.encode() or ann.file(name)["name"] != name:
                report("another file", name)
    report("all names, in pages", sorted(file["name"] for file in ann.files(limit=3)) == sorted(names))
    report("names that are none", [failure_of(lambda: ann.put(name, b"x")) for name in ("", ".", "..", "a/../b", "a\\b")])
    report("a name that is no text", failure_of(lambda: ann.put("\udcff", b"x")))
    report("a type with a line break", failure_of(lambda: ann.put("x", b"x", media_type="text/plain\r\nx: y")))

    report("an empty file", [ann.put("empty", b"")["size"], ann.put_resumable("empty.html", b"")["type"]])
    ann.download("empty", "empty")
    report("its download", Path("empty").read_bytes())
    with ann.get("a/b/c.txt", first=2, last=4) as stream:
        report("a range", [stream.read(), stream.size, stream.media_type])
    report("a range behind the end", failure_of(lambda: ann.get("a/b/c.txt", first=100)))
    wrong: list[Any] = ["text", None, io.StringIO("text")]
    report("other sources", [failure_of(lambda: ann.put("x", source)) for source in wrong])
    report("a file that is missing here", failure_of(lambda: ann.put("x", Path("missing"))))
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe")
    os.close(writing)
    with open(reading, "rb") as pipe:
        report("a pipe", [ann.put("piped.txt", pipe)["size"], failure_of(lambda: ann.put_resumable("x", pipe))])
    behind = io.BytesIO(b"0123456789")
    behind.seek(4)
    report("a stream from where it is", ann.put("behind.txt", behind)["size"])
    behind.seek(4)
    report("the same, resumable", ann.put_resumable("behind.txt", behind)["sha256"] == hashlib.sha256(b"456789").hexdigest())
    with ann.get("piped.txt") as source:
        report("from one file to another", ann.put("copied.txt", source)["size"])

    known = ann.put("known.txt", b"one", if_none_match="*", media_type="text/x-own")
    report("creating what is there", failure_of(lambda: ann.put("known.txt", b"two", if_none_match="*")))
    report("the same, resumable", failure_of(lambda: ann.put_resumable("known.txt", b"two", if_none_match="*")))
    report("replacing the known content", ann.put("known.txt", b"two", if_match=f'"{known["sha256"]}"')["size"])
    report("replacing other content", failure_of(lambda: ann.put("known.txt", b"three", if_match=f'"{known["sha256"]}"')))
    [version] = ann.request("GET", "/api/files/known.txt/versions")["versions"]
    ann.download("known.txt", "known.txt", version=version["id"])
    report("a version", Path("known.txt").read_text())

    cursor = ann.changes()
    ann.create_folder("new/folder")
    ann.move_folder("new", "moved")
    ann.move("known.txt", "moved/known.txt")
    feed = ann.changes(cursor["next"], wait=5)
    report("changes", [cursor["reset"], *(change["kind"] for change in feed["changes"])])
    report("no changes", ann.changes(feed["next"], wait=1)["changes"])
    report("folders", sorted(folder["name"] for folder in ann.folders(all=True, limit=2)))
    report("a folder that is not empty", failure_of(lambda: ann.remove_folder("moved")))
    ann.remove("moved/known.txt", permanent=True)
    ann.remove_folder("moved", recursive=True)
    report("what was removed", failure_of(lambda: ann.file("moved/known.txt")))

    link = ann.create_link(name="a", kind="download", showsOwner=False)
    report("links", [link["kind"], [known["name"] for known in ann.links()]])
    ann.revoke_link(link["id"])
    report("after they were revoked", [list(ann.links()), failure_of(lambda: ann.revoke_link(link["id"]))])

    token = ann.create_token(name="reader", scopes=["files:read"])["token"]
    reader = MagicStore(BASE_URL, token=token)
    report("a token", [reader.file("empty")["size"], failure_of(lambda: reader.put("x", b"x"))])
    report("what needs the password", failure_of(lambda: reader.create_token(name="x", scopes=["files:read"])))

    big = 32 * MIB
    expected = sha256_of(Bytes(big))
    report("a put of 32 MiB", peak_of(lambda: ann.put("big.bin", io.BufferedReader(Bytes(big)))))
    report("a download of 32 MiB", peak_of(lambda: ann.download("big.bin", "big.bin")))
    report("its bytes", hashlib.sha256(Path("big.bin").read_bytes()).hexdigest() == expected)

    rough = MagicStore(wire.url, token=ann.create_token(name="rough", scopes=["files:read", "files:write"])["token"])
    wire.faults = [("none", 0), ("none", 0), ("cut up", 9 * MIB), ("none", 0), ("cut up", 9 * MIB)]
    wire.sent()
    peak = peak_of(lambda: report("an upload that is cut twice", rough.put_resumable("cut.bin", Bytes(big))["sha256"] == expected))
    report("its memory", [peak, wire.requests(), wire.sent() < big + 20 * MIB])
    wire.faults = [("cut down", 0), ("none", 0), ("none", 0), ("cut down", 0)]
    report("responses that are lost", [rough.put_resumable("lost.bin", b"lost")["size"], wire.requests("Upload-Offset")])
    created: list[str] = []
    report("a source that fails", failure_of(lambda: rough.put_resumable("fails.bin", Bytes(big, 20 * MIB), on_created=created.append)))
    report("what is there of it", [upload["name"] for upload in ann.request("GET", "/api/uploads")["uploads"]])
    wire.sent()
    wire.requests()
    report("going on", rough.put_resumable("fails.bin", Bytes(big), upload_id=created[0])["sha256"] == expected)
    missing = big - int(wire.requests("Upload-Offset").removeprefix("HEAD, PATCH "))
    report("what was sent for it", missing < wire.sent() < missing + MIB)
    report("an upload that is unknown", failure_of(lambda: rough.put_resumable("x", b"x", upload_id="0" * 32)))
    rough.put_resumable("short.bin", Bytes(MIB), on_created=created.append)
    report("an upload of another file", failure_of(lambda: rough.put_resumable("short.bin", b"x", upload_id=created[1])))
    changing = Bytes(big, 20 * MIB)
    report("a source that fails", failure_of(lambda: rough.put_resumable("other.bin", changing, on_created=created.append)))
    other = io.BytesIO(bytes(big))
    report("going on with other bytes", failure_of(lambda: rough.put_resumable("other.bin", other, upload_id=created[2])))
    report("what they made", failure_of(lambda: ann.file("other.bin")))
    by_links(ann, wire)
    wire.requests()

    wire.faults = [("cut down", 5 * MIB), ("cut down", 5 * MIB)]
    peak = peak_of(lambda: rough.download("big.bin", "cut.bin"))
    report("a download that is cut twice", [hashlib.sha256(Path("cut.bin").read_bytes()).hexdigest() == expected, peak])
    report("requests for a range", ["\r\nRange: bytes=" in head and "\r\nIf-Match: " in head for head in wire.heads])
    Path("kept.bin").write_text("kept")
    wire.faults = [("flip down", 5 * MIB)]
    report("a damaged download", [failure_of(lambda: rough.download("big.bin", "kept.bin")), Path("kept.bin").read_text()])
    wire.faults = [("cut down", 5 * MIB)]
    with rough.get("big.bin") as stream:
        stream.read(MIB)
        ann.put("big.bin", b"replaced")
        report("a file that is replaced in a cut download", failure_of(lambda: stream.read()))
    report("files that are left", sorted(path.name for path in Path().iterdir() if path.suffix == ".part"))

    away = MagicStore("http://127.0.0.1:1", token=token, retries=1)
    report("a server that is away", [failure_of(act) for act in (
        lambda: away.file("x"), lambda: away.put("x", b"x"), lambda: next(away.files()), lambda: away.put_resumable("x", b"x")
    )])
    silent = socket.create_server(("127.0.0.1", 0))
    stalled = MagicStore(f"http://127.0.0.1:{silent.getsockname()[1]}", token=token, timeout=0.2, retries=0)
    report("a server that stalls", [failure_of(lambda: stalled.file("x")), failure_of(lambda: stalled.put("x", Bytes(big)))])
    busy = "503 Busy\nRetry-After: 1\nContent-Length: 0\n\n"
    begun = time.monotonic()
    patient = MagicStore(answering(busy, '200 OK\nContent-Length: 10\n\n{"size":7}'), token=token)
    report("a proxy that is busy", [patient.file("x")["size"], time.monotonic() - begun >= 1])
    report("the same for a put", failure_of(lambda: MagicStore(answering(busy), token=token).put("x", b"x")))
    for answer in ("200 OK\nContent-Length: 6\n\n<html>", "404 Not Found\nContent-Length: 6\n\n<html>", "hello\n\n"):
        other_server = MagicStore(answering(answer, answer), token=token, retries=0)
        report("another server", [failure_of(act) for act in (lambda: other_server.file("x"), lambda: other_server.get("x"))])
    report("addresses that are none", [failure_of(lambda: MagicStore(url)) for url in ("files", "ftp://x", "http://", "http://x:y")])
    report("a lost connection is one of Python's", issubclass(ConnectionLost, ConnectionError))

    secret = ann.request("POST", "/api/second-factor/totp", credentials="password")["secret"]
    code = {"code": one_time_code(secret)}
    codes = [*ann.request("PUT", "/api/second-factor/totp", code, credentials="password")["recoveryCodes"][:2], "wrong"]
    report("without a code", failure_of(lambda: MagicStore(BASE_URL, username="zoë", password=PASSWORD).file("empty")))
    with_code = MagicStore(BASE_URL, username="zoë", password=PASSWORD, on_code=codes.pop)
    report("a wrong code", failure_of(lambda: with_code.file("empty")))
    report("a right code, for many requests", [with_code.file("empty")["size"], len(list(with_code.files())) > 5, len(codes)])
    report("a code for what needs the password", [with_code.create_token(name="x", scopes=["account"])["name"], len(codes)])
    report("the token goes on", reader.file("empty")["size"])

    guesser = MagicStore(BASE_URL, username="nobody", password="guess")
    report("guesses", {failure_of(lambda: guesser.file("x")) for _ in range(10)})
    try:
        guesser.file("x")
    except MagicStoreError as error:
        report("too many of them, without a wait", [error.code, (error.retry_after or 0) > 60])


main()
