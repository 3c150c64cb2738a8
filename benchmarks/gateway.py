"""What the gateway adds: streams at the same time through it and past it, as the ratio of their times to the first token.

`python benchmarks/gateway.py [STREAMS]` needs Docker and the test bed's nginx (`make world`). The engine is the embedded one with the
demo's model, which takes the processors that the gateway and this program need too; connections stand before the clock starts. The
gateway is reached at its container's address, as from another machine: a published port of loopback leads through a process of Docker's.
Every stream has to come to its end without an error.
"""

import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.services import gateway
from provisioner.world import tinymodel
from tests.bed import gateway as bed
from tests.ports import free_port
from tests.unit.planning.samples import machine, plan

STREAMS = 200
TOKENS = 16
CONTEXT = 512
PAGE = "ba lo mi " * 130
"""About as much as a question with a page of text: an engine reads it for longer than it reads a greeting."""
ROUNDS = 5
GOAL = 1.05


@dataclass(frozen=True)
class Way:
    """One way to the engine."""

    name: str
    host: str
    port: int
    context: ssl.SSLContext | None


async def streams(way: Way, count: int, question: str = "Hello.") -> list[float]:
    """Seconds to the first token of each; an error of any is an error of all."""
    lines = [await asyncio.open_connection(way.host, way.port, ssl=way.context) for _ in range(count)]
    try:
        return list(await asyncio.gather(*(one(reader, writer, question) for reader, writer in lines)))
    finally:
        for _, writer in lines:
            writer.close()


async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: str) -> float:
    """Each asks something of its own, so that no engine knows its beginning already."""
    asked = {"role": "user", "content": f"{time.perf_counter_ns()} {question}"}
    body = json.dumps({**bed.chat("demo-tiny", TOKENS, stream=True), "messages": [asked]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bed.STACK_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    started = time.perf_counter()
    writer.write(head.encode() + body)
    first, answered = 0.0, b""
    while piece := await reader.read(1 << 16):
        answered += piece
        if not first and b'"content":"' in answered:
            first = time.perf_counter() - started
    if not answered.startswith(b"HTTP/1.1 200 ") or b"data: [DONE]" not in answered or not first:
        raise RuntimeError(f"a stream broke: {answered[:300]!r}")
    return first


def measure(ways: tuple[Way, ...], count: int, kind: str, question: str) -> Iterator[str]:
    """A line for each way: medians over the rounds, in which the ways take turns, so that all see the same machine."""
    rounds = [[statistics.median(asyncio.run(streams(way, count, question))) for way in ways] for _ in range(ROUNDS)]
    for number, way in enumerate(ways):
        first = statistics.median(each[number] for each in rounds)
        ratio = statistics.median(each[number] / each[0] for each in rounds)
        yield f"{count:4} streams of {kind:10} {way.name:32} first token after {first * 1000:8.1f} ms, {ratio:.3f} times"


def processor_seconds(door: bed.Gateway) -> float:
    """What nginx has used of the processors so far: it does not depend on who else is at work on the machine, a clock does."""
    words = [*door.compose, "exec", "-T", "gateway", "sh", "-c", "cat /proc/[0-9]*/stat"]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    ticks = (line.rpartition(")")[2].split()[11:13] for line in told.splitlines() if "(nginx)" in line)
    return sum(int(one) for pair in ticks for one in pair) / os.sysconf("SC_CLK_TCK")


def address_of(door: bed.Gateway) -> str:
    words = ["docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"]
    container = subprocess.run([*door.compose, "ps", "--quiet"], capture_output=True, text=True, check=True)
    return subprocess.run([*words, container.stdout.strip()], capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STREAMS
    with tempfile.TemporaryDirectory(prefix="provision-gateway-") as folder:
        model = f"{folder}/tiny.gguf"
        tinymodel.write(model)
        service = replace(plan(machine("2 cores, 16 GiB"), Spec("demo")).services[0], port=free_port())
        wanted = bed.stack(Path(folder) / "state", (service,))
        address = bed.bridge()
        with (
            bed.engine(wanted.engines[0], model, count, count * CONTEXT),
            bed.running(wanted, {service.name: address}) as door,
        ):
            context = ssl.create_default_context(cafile=gateway.authority(wanted.place))
            context.check_hostname = False
            inside = address_of(door)
            ways = (
                Way("directly", address, service.port, None),
                Way("through the gateway, without TLS", inside, gateway.INSIDE_PORT, None),
                Way("through the gateway", inside, gateway.PORT, context),
            )
            for kind, question in (("a greeting", "Hello."), ("a page", PAGE)):
                for each in (1, count):
                    print("\n".join(measure(ways, each, kind, question)), flush=True)
            before = processor_seconds(door)
            asyncio.run(streams(ways[-1], count))
            used = (processor_seconds(door) - before) / count
            print(f"nginx takes {used * 1000:.2f} ms of a processor for a connection and a stream of {TOKENS} tokens")
            print(f"the goal is {GOAL} times")
            failed = [line for line in door.log() if line["status"] != 200]
            print(f"{len(failed)} errors in {len(door.log())} requests")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
