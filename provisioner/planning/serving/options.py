"""The flags of engines that take what their model needs: planned values, and what the operator set by name."""

from collections.abc import Iterator, Mapping

from provisioner.model.facts import Unknown
from provisioner.model.plan import Decision, Service
from provisioner.planning.machine.cores import numa_policy, thread_count
from provisioner.planning.tries.attempt import Attempt, Scene

DEVICE_THREADS = 8
"""With all layers on a device the host only feeds it; more threads wait for each other."""

THREADS = ("threads", "kt-cpuinfer")
"""Flags of engines for how many threads compute."""


def options_of(attempt: Attempt, scene: Scene) -> dict[str, str]:
    """Values of the flags that the engine has; what the operator set by name wins."""
    planned = _for_experts(attempt, scene) if attempt.engine.experts_on_host else _by_layers(attempt, scene)
    return {**{flag: value for flag, value in planned.items() if flag in attempt.engine.options}, **scene.wish.options}


def _by_layers(attempt: Attempt, scene: Scene) -> Mapping[str, str]:
    fitting, wish, facts = attempt.fit, scene.wish, scene.facts
    layers = fitting.device_layers if fitting is not None else 0
    threads, _ = thread_count(facts, wish.threads)
    if fitting is not None and fitting.all_on_devices and wish.threads is None:
        threads = min(threads, DEVICE_THREADS)
    policy, _ = numa_policy(facts)
    planned = {
        "threads": str(threads), "threads-batch": str(threads), "n-gpu-layers": str(layers), "gpu": _part(attempt, layers),
    }  # fmt: skip
    spread = used_split(fitting.split) if fitting is not None else ()
    if len(spread) > 1:
        planned["tensor-split"] = ",".join(map(str, spread))
    if fitting is not None and fitting.host_experts:
        planned["n-cpu-moe"] = str(fitting.host_experts)
    return {**planned, **({"numa": policy} if policy else {})}


def _part(attempt: Attempt, layers: int) -> str:
    """The same as LM Studio says it: all, none, or a part of one in hundredths, rounded down."""
    fitting = attempt.fit
    if fitting is None or not layers:
        return "off"
    everything = attempt.subject.geometry.layers + 1 if attempt.subject else layers
    return "max" if fitting.all_on_devices else f"{layers * 100 // everything / 100:g}"


def _for_experts(attempt: Attempt, scene: Scene) -> Mapping[str, str]:
    """A pool of threads for each NUMA node, and all physical cores; GGUF files are read by the method that all processors have.

    How many experts of each layer are on the card is said also where none is: the engine has no number of its own. Its cache is
    as large as planned: SGLang would take a share of the card that leaves too little beside weights of nearly its size.
    """
    from provisioner.planning.tries.ktransformers import pools  # Few models have experts.

    threads, _ = thread_count(scene.facts, scene.wish.threads)
    nodes = () if isinstance(scene.facts.numa, Unknown) else [one for one in scene.facts.numa if one.memory_bytes]
    geometry = attempt.subject.geometry if attempt.subject else None
    return {
        "kt-method": "LLAMAFILE",
        "kt-cpuinfer": str(threads),
        "kt-threadpool-count": str(pools(geometry, len(nodes)) if geometry else 1),
        "kt-num-gpu-experts": str(attempt.card_experts),
        "max-total-tokens": str(attempt.kv_tokens),
        **_static_share(attempt),
    }


def _static_share(attempt: Attempt) -> Mapping[str, str]:
    """Weights and cache of what is free on the card before they are loaded, rounded up to a hundredth."""
    card = next((one for one in (attempt.fit.budgets if attempt.fit else ()) if one.device != "host"), None)
    if card is None or not card.budget_bytes:
        return {}
    hundredths = -(-100 * (card.weights_bytes + card.kv_cache_bytes) // card.budget_bytes) + 1
    return {"mem-fraction-static": f"{min(98, hundredths) / 100:g}"}


def used_split(split: tuple[int, ...]) -> tuple[int, ...]:
    """Layers on the devices that get some."""
    return tuple(count for count in split if count)


def decisions_of_threads(service: Service, scene: Scene) -> Iterator[Decision]:
    """Why so many threads, and where: of engines that are told."""
    flag = next((flag for flag in THREADS if flag in service.options), None)
    if flag is None:
        return
    threads, because = thread_count(scene.facts, scene.wish.threads)
    if flag in scene.wish.options:
        because = "set by name"
    elif int(service.options[flag]) != threads:
        because = f"all layers are on the device; {threads} would be there"
    policy, reason = numa_policy(scene.facts)
    yield Decision("threads", service.options[flag], because)
    yield Decision("NUMA", service.options.get("numa", policy or "left to the kernel"), reason)
