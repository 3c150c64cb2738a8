"""How long plans take: one of each kind after everything is imported, and those of a whole inventory of mixed machines.

A busy machine slows all of it: so processor time is counted beside the wall clock, and each figure also stands as a multiple of a
yardstick of the same run: for one plan the reading of its machine's description, for an inventory the decoding of its fact
documents from JSON. Nothing fails here.
"""

import argparse
import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

from provisioner.catalog import load_catalog
from provisioner.documents import decode, encode
from provisioner.errors import UserError
from provisioner.model.facts import Accelerator, DeviceProcess, Host, HostFacts, Unknown
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.asked.shorthand import machine_from_text
from provisioner.planning.inventory import likeness, plan_all
from provisioner.planning.plan import make_plan

PLAN_MS = 50
INVENTORY_SECONDS = 5
PLACE = Place("/var/lib/provision", "/opt/provision/bin/python", "/etc/systemd/system", user_manager=False)
CATALOG = load_catalog()
SEED = 4
ODD = 0.01
"""Of the hosts: somebody else's process on a card, or a card that is broken."""

HARDWARE = (
    "4 cores, 8 GiB", "8 cores, 16 GiB", "16 cores, 64 GiB", "2 sockets, 64 cores, 512 GiB",
    "1x RTX 3060, 8 cores, 32 GiB", "2x RTX 3060, 8 cores, 32 GiB", "1x RTX 3090, 16 cores, 64 GiB",
    "2x RTX 3090, nvlink=yes, 16 cores, 128 GiB", "4x RTX 3090, 32 cores, 256 GiB", "1x RTX 4090, 16 cores, 64 GiB",
    "2x RTX 4090, 32 cores, 128 GiB", "4x RTX 4090, 64 cores, 256 GiB", "8x RTX 4090, 64 cores, 512 GiB",
    "1x RTX 5090, 16 cores, 96 GiB", "2x RTX 5090, 32 cores, 128 GiB", "2x RTX 4090, 2x RTX 3090, 32 cores, 256 GiB",
    "1x L40S, 32 cores, 128 GiB", "4x L40S, 64 cores, 512 GiB", "8x L40S, 128 cores, 1024 GiB", "2x L4, 16 cores, 64 GiB",
    "1x T4, 8 cores, 32 GiB", "4x V100 SXM2 32GB, 64 cores, 256 GiB", "8x V100 SXM2 32GB, 96 cores, 512 GiB",
    "1x A100 80GB PCIe, 32 cores, 256 GiB", "4x A100 80GB SXM, nvlink=yes, 64 cores, 512 GiB",
    "8x A100 80GB SXM, nvlink=yes, 128 cores, 1024 GiB", "1x H100 PCIe, 32 cores, 256 GiB",
    "2x H100 SXM, nvlink=yes, 64 cores, 512 GiB", "8x H100 SXM, nvlink=yes, 192 cores, 2048 GiB", "1x H200, 32 cores, 256 GiB",
    "8x H200, nvlink=yes, 192 cores, 2048 GiB", "8x H20-3e, nvlink=yes, 192 cores, 2048 GiB",
    "8x H100 SXM, nvlink=yes, 2 nodes, 192 cores, 2048 GiB", "8x MI300X, 128 cores, 1024 GiB",
    "8x MI300X, 2 nodes, 128 cores, 1024 GiB", "8x 910B3, 192 cores, 1024 GiB", "1x K100-AI, 32 cores, 256 GiB",
    "2x RTX A6000, nvlink=yes, 32 cores, 256 GiB", "1x RTX 6000 Ada, 16 cores, 128 GiB", "2 sockets, 128 cores, 1024 GiB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Single:
    hardware: str
    profile: str
    verdict: str
    first_ms: float
    ms: float
    times_reading: float


@dataclass(frozen=True, slots=True)
class Inventory:
    profile: str
    hosts: int
    kinds: int
    """Machines that a plan can tell apart."""
    workers: int
    wall_seconds: float
    worker_seconds: float
    """Processor time of each worker: what the wall clock would show on a machine with nothing else to do."""
    times_decoding: float


def timed(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def single(hardware: str, profile: str, rounds: int) -> Single:
    """The first time, with an empty memory of what follows from the catalog, and the median of the times after."""
    spec, facts = Spec(profile=profile), machine_from_text(hardware, CATALOG)
    CATALOG.known.clear()
    plans: list[Plan] = []
    times = [timed(lambda: plans.append(make_plan(spec, facts, CATALOG, Shelf(), PLACE))) for _ in range(rounds + 1)]
    reading = statistics.median(timed(lambda: machine_from_text(hardware, CATALOG)) for _ in range(rounds))
    middle = statistics.median(times[1:])
    return Single(hardware, profile, plans[0].verdict, times[0] * 1000, middle * 1000, middle / reading)


def singles(rounds: int) -> Iterator[Single]:
    for hardware in HARDWARE:
        for profile in CATALOG.profiles:
            try:
                yield single(hardware, profile, rounds)
            except UserError as error:
                print(f"{hardware}, {profile}: {error}", file=sys.stderr)


def hosts(count: int) -> list[HostFacts]:
    """So many machines of these kinds, as they stand in a lab: most idle, a few with a co-tenant or a broken card."""
    chance = random.Random(SEED)
    known = [machine_from_text(text, CATALOG) for text in HARDWARE]
    return [_host(known[number % len(known)], number, chance) for number in range(count)]


def _host(facts: HostFacts, number: int, chance: random.Random) -> HostFacts:
    host = Host(f"host-{number:05}", "Debian GNU/Linux 13", "6.12", "x86_64", None, None, f"boot-{number}")
    accelerators = {
        vendor: cards if isinstance(cards, Unknown) else tuple(_card(card, number, chance) for card in cards)
        for vendor, cards in facts.accelerators.items()
    }
    return replace(facts, host=host, accelerators=accelerators)


def _card(card: Accelerator, number: int, chance: random.Random) -> Accelerator:
    card = replace(card, uuid=f"GPU-{number:05}-{card.index}")
    if chance.random() >= ODD / 4 or isinstance(card.free_bytes, Unknown):
        return card
    if chance.random() < 0.2:
        return replace(card, problem="it has fallen off the bus (Xid 79)")
    used = chance.randrange(1, 12) << 30
    return replace(card, free_bytes=max(0, card.free_bytes - used), processes=(DeviceProcess(4711, "python3", used),))


def plan_part(profile: str, part: Sequence[HostFacts]) -> int:
    """How many of them fit."""
    plans = plan_all(Spec(profile=profile), part, CATALOG, Shelf(), PLACE)
    return sum(plan.verdict == "fits" for plan in plans)


def inventory(profile: str, count: int, workers: int) -> Inventory:
    """Each worker takes every so-manieth host; their start is part of the time."""
    CATALOG.known.clear()
    CATALOG.decoded.clear()
    all_hosts = hosts(count)
    parts = [all_hosts[place::workers] for place in range(workers)]
    before, began = children_seconds(), time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(plan_part, [profile] * workers, parts))
    wall, used = time.perf_counter() - began, (children_seconds() - before) / workers
    kinds = len({likeness(facts) for facts in all_hosts})
    return Inventory(profile, count, kinds, workers, wall, used, used * workers / decoding_seconds(all_hosts))


def decoding_seconds(all_hosts: Sequence[HostFacts]) -> float:
    texts = [json.dumps(encode(facts)) for facts in all_hosts[: len(HARDWARE)]]
    each = timed(lambda: [decode(HostFacts, json.loads(text), "facts") for text in texts]) / len(texts)
    return each * len(all_hosts)


def report(found: Sequence[Single], inventories: Sequence[Inventory]) -> Iterator[str]:
    yield f"{'one plan':<34} {'plans':>6} {'median ms':>10} {'worst ms':>9} {'first ms':>9} {'× reading':>10} {'goal ms':>8}"
    for verdict in ("fits", "refused"):
        times = [one.ms for one in found if one.verdict == verdict]
        if not times:
            continue
        reading = statistics.median(one.times_reading for one in found if one.verdict == verdict)
        worst = max((one for one in found if one.verdict == verdict), key=lambda one: one.ms)
        first = max(one.first_ms for one in found if one.verdict == verdict)
        yield (
            f"{verdict:<34} {len(times):>6} {statistics.median(times):>10.1f} {worst.ms:>9.1f} {first:>9.1f} "
            f"{reading:>10.1f} {PLAN_MS:>8}   the worst: {worst.profile} on {worst.hardware}"
        )
    yield ""
    yield f"{'an inventory':<34} {'hosts':>6} {'unlike':>10} {'wall s':>9} {'CPU s each':>10} {'workers':>9} {'× decoding':>10} {'goal s':>8}"
    for one in inventories:
        goal = INVENTORY_SECONDS * one.hosts / 10_000
        yield (
            f"{one.profile:<34} {one.hosts:>6} {one.kinds:>10} {one.wall_seconds:>9.2f} {one.worker_seconds:>10.2f} {one.workers:>9} "
            f"{one.times_decoding:>10.2f} {goal:>8.2f}"
        )
    for profile in dict.fromkeys(one.profile for one in inventories):
        small, large = (one for one in inventories if one.profile == profile)
        growth = large.worker_seconds / small.worker_seconds / (large.hosts / small.hosts)
        yield f"{profile}: {large.hosts // small.hosts} times the hosts take {growth:.2f} times as long each (1 is linear)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    found = list(singles(max(1, arguments.rounds)))
    sizes = (max(1, arguments.hosts // 10), max(1, arguments.hosts))
    inventories = [
        inventory(profile, size, max(1, arguments.workers)) for profile in ("standard", "auto") for size in sizes
    ]
    if arguments.json:
        print(
            json.dumps({"single": [asdict(one) for one in found], "inventories": [asdict(one) for one in inventories]})
        )
    else:
        print("\n".join(report(found, inventories)))


if __name__ == "__main__":
    main()
