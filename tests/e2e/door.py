"""The gateway as a client sees it: over TLS, by the authority of the machine."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass


@dataclass
class Door:
    address: str
    authority: str

    def ask(self, path: str, key: str = "", body: object = None, seconds: float = 60) -> tuple[int, str]:
        request = urllib.request.Request(f"{self.address}{path}")
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        trusted = ssl.create_default_context(cafile=self.authority)
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=trusted) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
