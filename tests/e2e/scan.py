"""Every published port of a running stack, asked for every path that an engine is known to have, by everybody."""

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from provisioner.services.gateway import ROUTES
from tests.e2e.stack import Stack

OF_ENGINES = (
    "/", "/health", "/healthz", "/ping", "/version", "/load", "/metrics", "/docs", "/redoc", "/openapi.json", "/invocations", "/pooling",
    "/classify", "/score", "/rerank", "/tokenize", "/detokenize", "/generate", "/encode", "/completion", "/completions",
    "/chat/completions", "/embedding", "/embeddings", "/infill", "/apply-template", "/slots", "/slots/0", "/props", "/models",
    "/lora-adapters", "/v1/models", "/v1/score", "/v1/rerank", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/audio/speech",
    "/v1/audio/transcriptions", "/v1/messages", "/v1/tokenize", "/v1/files", "/sleep", "/wake_up", "/reset_prefix_cache",
    "/collective_rpc", "/server_info", "/get_server_info", "/get_model_info", "/flush_cache", "/update_weights_from_disk",
    "/start_profile", "/stop_profile", "/load_model", "/api/tags", "/api/ps", "/api/version", "/api/show", "/api/generate", "/api/chat",
    "/api/embed", "/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs/sha256:0", *ROUTES,
)  # fmt: skip
"""vLLM 0.32 (entrypoints), SGLang 0.5.23 (srt/entrypoints/http_server.py), Ollama 0.17 (server/routes.go), llama.cpp (tools/server), transformers 5
(cli/serving)."""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
BODY = json.dumps({"model": "of-nobody", "prompt": "x", "messages": [], "name": "of-nobody"})


@dataclass(frozen=True, slots=True)
class Opened:
    """Something that answered with more than a refusal."""

    port: int
    method: str
    path: str
    status: int
    kind: str


def opened(stack: Stack, port: int, key: str = "", methods: tuple[str, ...] = METHODS) -> Iterator[Opened]:
    """What of all this a client with this key gets at a port: 2xx, or an error of its own by a server that took the request."""
    for method in methods:
        connection = _connection(stack, port)
        for path in OF_ENGINES:
            headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
            body = BODY if method in ("POST", "PUT", "PATCH", "DELETE") else None
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
            except ConnectionError:  # A server may close what it has refused.
                connection.close()
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
            if answer.status not in (400, 401, 403, 404, 405):
                yield Opened(port, method, path, answer.status, answer.headers.get_content_type())
        connection.close()


def _connection(stack: Stack, port: int) -> http.client.HTTPConnection:
    if port != stack.published:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    trusted = ssl.create_default_context(cafile=f"{stack.state}/secrets/tls/authority.pem")
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trusted)
