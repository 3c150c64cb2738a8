"""Requests to hubs: proxies and tokens from the environment, redirects followed, failures in words."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR, gaierror, socket
from urllib.parse import SplitResult, urljoin, urlsplit

from provisioner.documents import Json
from provisioner.errors import RunFailed, UserError
from provisioner.weights import hubs

SECONDS = 30.0
MOST_REDIRECTS = 8
MOST_PAGES = 100
LARGEST_LISTING = 64 << 20
REDIRECTS = (301, 302, 303, 307, 308)
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
TRIES = 4
PAUSE = 0.5
TOKEN_HOST = "huggingface.co"  # noqa: S105 - where the token may be sent, not a token


class Refusal(Exception):
    """The other side answered, and not with what was asked for."""

    def __init__(self, status: int, url: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.url = url


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    url: str
    """Where redirects led to."""
    response: HTTPResponse
    connection: HTTPConnection
    line: socket | None

    def chunks(self, size: int) -> Iterator[bytes]:
        """The body as it comes; an HTTPException or OSError when it breaks off."""
        while chunk := self.response.read1(size):
            yield chunk

    def hang_up(self) -> None:
        """Wake up whoever waits for more of the body."""
        if self.line is not None and self.line.fileno() >= 0:
            with suppress(OSError):
                self.line.shutdown(SHUT_RDWR)

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def get(url: str, headers: Mapping[str, str] | None = None, seconds: float = SECONDS) -> Reply:
    """Follow redirects to an answer. A token goes to its own host only, and nothing goes from https to http."""
    for _ in range(MOST_REDIRECTS):
        reply = _get_once(url, headers or {}, seconds)
        if reply.status not in REDIRECTS:
            return reply
        reply.close()
        target = urljoin(url, reply.headers.get("location", ""))
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
            raise Refusal(reply.status, url)
        url = target
    raise Refusal(310, url)


def _get_once(url: str, headers: Mapping[str, str], seconds: float) -> Reply:
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise Refusal(400, url)
    proxy = proxy_for(address, os.environ)
    connection = _connect(address, proxy, seconds)
    path = f"{address.path or '/'}{'?' + address.query if address.query else ''}"
    through = proxy is not None and address.scheme == "http"
    own = {"User-Agent": "provision", "Accept-Encoding": "identity", **authorization(address.hostname, os.environ)}
    if through and proxy is not None:
        own.update(_proxy_authorization(proxy))
    try:
        connection.request("GET", url if through else path, headers={**own, **headers})
        line = connection.sock
        response = connection.getresponse()
    except BaseException:
        connection.close()
        raise
    named = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, named, url, response, connection, line)


def authorization(host: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The operator's token for Hugging Face, for that host alone."""
    token = environment.get("HF_TOKEN", "").strip()
    return {"Authorization": f"Bearer {token}"} if token and host == TOKEN_HOST else {}


def proxy_for(address: SplitResult, environment: Mapping[str, str]) -> SplitResult | None:
    """The proxy that the environment names for an address, in the ways that curl reads too."""
    host = address.hostname or ""
    lower = {name.lower(): value for name, value in environment.items() if name.lower().endswith("_proxy")}
    found = lower.get(f"{address.scheme}_proxy") or lower.get("all_proxy")
    if not found or host in ("127.0.0.1", "::1", "localhost") or _is_direct(host, lower.get("no_proxy", "")):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def _is_direct(host: str, exceptions: str) -> bool:
    """Whether NO_PROXY names this host, one of its domains, or everything."""
    names = [name.strip().lower().lstrip("*.").partition(":")[0] for name in exceptions.split(",") if name.strip()]
    return exceptions.strip() == "*" or any(host == name or host.endswith(f".{name}") for name in names if name)


def _connect(address: SplitResult, proxy: SplitResult | None, seconds: float) -> HTTPConnection:
    host, port = address.hostname or "", address.port
    if proxy is None:
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        return kind(host, port, timeout=seconds)
    if address.scheme == "http":
        return HTTPConnection(proxy.hostname or "", proxy.port or 80, timeout=seconds)
    connection = HTTPSConnection(proxy.hostname or "", proxy.port or 80, timeout=seconds)
    connection.set_tunnel(host, port or 443, headers=_proxy_authorization(proxy))
    return connection


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    from base64 import b64encode
    from urllib.parse import unquote

    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def listing(source: str, repository: str, pause: float = PAUSE) -> tuple[hubs.Listed, ...]:
    """The files of a repository, all pages of the list."""
    url: str | None = hubs.listing_url(source, repository)
    found: list[hubs.Listed] = []
    for _ in range(MOST_PAGES):
        if url is None:
            break
        document, link = _document(url, f"the files of {repository}", pause)
        try:
            found.extend(hubs.parse_listing(source, document))
        except ValueError as error:
            raise RunFailed(f"{urlsplit(url).netloc}: {error}", fix=WAYS.format(name="the weight files")) from None
        url = hubs.next_page(link)
    return tuple(found)


def _document(url: str, what: str, pause: float) -> tuple[Json, str]:
    for attempt in range(TRIES):
        try:
            return _document_once(url)
        except (OSError, HTTPException, Refusal) as error:
            if attempt == TRIES - 1 or not is_transient(error):
                raise failure(error, url, what) from error
            time.sleep(pause * 2**attempt)
    raise AssertionError("unreachable")


def _document_once(url: str) -> tuple[Json, str]:
    reply = get(url)
    try:
        if reply.status != 200:
            raise Refusal(reply.status, url)
        body = b""
        for chunk in reply.chunks(1 << 20):
            body += chunk
            if len(body) > LARGEST_LISTING:
                raise HTTPException(f"the answer is larger than {LARGEST_LISTING >> 20} MiB")
        document: Json = json.loads(body)
        return document, reply.headers.get("link", "")
    except (ValueError, RecursionError):
        raise HTTPException("the answer is no JSON") from None
    finally:
        reply.close()


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, Refusal):
        return error.status in TRANSIENT
    # A name that does not exist, or no way out at all, stays so.
    return not isinstance(error, gaierror) and not (isinstance(error, OSError) and error.errno in (101, 113))


WAYS = (
    "bring the weights in one of three ways: copy {name} into a folder here and pass --weights DIR; "
    "pass --source https://HOST for a mirror that this machine reaches; "
    "or set HTTPS_PROXY, or run once where there is a network and copy the files from there"
)


def failure(error: BaseException, url: str, what: str) -> UserError:
    """Why something could not be had from a hub, with what to do about it."""
    host = urlsplit(url).hostname or url
    name = "the weight files" if what.startswith("the files of ") else what
    if not isinstance(error, Refusal):
        reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
        return RunFailed(f"{host}: cannot be reached for {what}: {reason}", fix=WAYS.format(name=name))
    if error.status in (401, 403):
        return RunFailed(
            f"{host}: {what} is not open to everybody (status {error.status})",
            fix="check its name; then accept the model's terms on its page, and set HF_TOKEN to a token that may read it",
        )
    if error.status == 404:
        return RunFailed(
            f"{host}: {what} does not exist there", fix="try another source: --source modelscope, or --weights DIR"
        )
    return RunFailed(
        f"{host}: answers with status {error.status} for {what}", fix="run the same command again later; it goes on"
    )
