"""Docker: one Compose project for engines and all that stands beside them; `docker compose up` in the folder does the same."""

import json
from hashlib import sha256
from typing import cast

from provisioner.catalog import find
from provisioner.documents import Json, encode
from provisioner.model.actions import Action, RunTool
from provisioner.model.containers import Container, Grant, Health, Mount, Published
from provisioner.model.plan import Plan, Service
from provisioner.model.plugins import Engine, Place, Target
from provisioner.model.release import Release, ReleaseFile, Running, Standing
from provisioner.rendering import HERE, LIVE

NAME = "docker"
COMPOSE = "compose.yaml"
PARTS = "parts.json"
LASTING = "live.env"
LIVES = "PROVISION_LIVE"
"""Where containers read what changes while they run: at one place for all releases, when told so by that file, and else in the
release's own folder, which is complete in itself.
"""
NETWORK = "inside"
BRIDGE = "com.docker.network.bridge"
CLOSED = "closed"
"""The host has no address there, so nobody on it reaches what is in no other network (`inhibit_ipv4`: moby/moby,
libnetwork/drivers/bridge; seen with 20.10)."""
SECRETS = "/run/secrets"
RUNS = "/tmp:exec"  # noqa: S108 - a folder in memory inside the container
"""Engines load the kernels that they compile from there, and Docker lets nothing run from such a folder unless it is told to."""
BINDS = ("numa-bind", "numa-node", "kt-threadpool-count")
BINDS_PROCESSORS = "VLLM_CPU_OMP_THREADS_BIND"
MEMORY_POLICY = "SYS_NICE"
"""Docker lets a program choose the NUMA node of its memory only with this (https://docs.docker.com/engine/security/seccomp/)."""
SECONDS = 600
"""For a command of Compose: it waits for containers to be made and to stop, and not for models to load."""


def files(plan: Plan, place: Place) -> tuple[ReleaseFile, ...]:
    wanted = containers(plan)
    parts = {one.name: part_of(one, plan.files) for one in wanted}
    return (
        ReleaseFile(COMPOSE, compose(wanted, place, parts)),
        ReleaseFile(PARTS, json.dumps(parts, indent=1, sort_keys=True)),
        ReleaseFile(LASTING, f'{LIVES}="{_quoted(place.live)}"\n'),
        *plan.files,
    )


def containers(plan: Plan) -> tuple[Container, ...]:
    """Everything that runs on the first of the machines."""
    held = {port.leads_to for one in plan.beside for port in one.published}
    engines = (container_of(one, held=one.name in held) for one in plan.services if not one.node)
    return (*engines, *plan.beside)


def container_of(service: Service, *, held: bool = False) -> Container:
    """An engine in a container: its weights lie at the path that they have on the host, and are not written to.

    `held`: it is reached through another container alone, which asks for keys where the engine does not.
    """
    engine = cast(Engine, find("provisioner.engines", "ENGINE", service.engine))
    keyed = {engine.key_variable: service.key_file} if engine.key_variable else {}
    return Container(
        name=service.name,
        kind=service.engine,
        image=service.image or "",
        argv=service.argv,
        env=service.env,
        secret_env=keyed,
        secrets=(service.key_file,),
        mounts=(Mount(service.model_folder, service.model_folder),),
        published=() if held else (Published(service.host, service.port, service.port),),
        closed=held,
        cpus=service.cpus,
        memory_max_bytes=service.memory_max_bytes,
        shared_memory_bytes=service.shared_memory_bytes,
        open_files=service.open_files,
        grant=service.grant,
        temporary=(RUNS,),
        capabilities=(MEMORY_POLICY,) if _binds(service) else (),
    )


def _binds(service: Service) -> bool:
    """Whether the engine itself binds memory to NUMA nodes."""
    return any(flag in service.options for flag in BINDS) or BINDS_PROCESSORS in service.env


def part_of(container: Container, files: tuple[ReleaseFile, ...]) -> str:
    """A hash of all that a container is made from: one that is made from the same is left alone by the next release.

    What it watches itself while it runs does not count.
    """
    read = sorted((file.path, file.content) for file in files if not file.awaited and _reads(container, file.path))
    return sha256(json.dumps([encode(container), read], sort_keys=True).encode()).hexdigest()


def _reads(container: Container, path: str) -> bool:
    sources = (
        mount.source.partition("/")[2]
        for mount in container.mounts
        if mount.source.startswith((f"{HERE}/", f"{LIVE}/"))
    )
    return any(path == source or path.startswith(f"{source}/") for source in sources)


def compose(wanted: tuple[Container, ...], place: Place, parts: dict[str, str]) -> str:
    """The Compose file, in the order of the stack."""
    import yaml  # Only who renders containers needs it.

    secrets = {path: secret_name(path, place) for one in wanted for path in secrets_of(one)}
    networks = _networks(wanted)
    document = {
        "name": place.project,
        "services": {one.name: _service(one, place, secrets, parts[one.name], tuple(networks)) for one in wanted},
        "networks": networks,
        "secrets": {name: {"file": path} for path, name in secrets.items()},
    }
    head = "# Made by provision; `docker compose up -d` in this folder starts the same stack.\n"
    kept = {key: value for key, value in document.items() if value}
    text = yaml.safe_dump(_escaped(kept), sort_keys=False, allow_unicode=True, width=1000)
    return head + text.replace(f"{LIVE}/", f"${{{LIVES}:-.}}/")


def _quoted(path: str) -> str:
    """As a file of variables has it between its quotes."""
    return path.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")


def _networks(wanted: tuple[Container, ...]) -> dict[str, Json]:
    """None has a way out."""
    inside: Json = {"driver_opts": {f"{BRIDGE}.enable_ip_masquerade": "false"}}
    closed: Json = {"internal": True, "driver_opts": {f"{BRIDGE}.inhibit_ipv4": "true"}}
    return {NETWORK: inside, **({CLOSED: closed} if any(one.closed for one in wanted) else {})}


def secrets_of(one: Container) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one.secrets, *one.secret_env.values())))


def secret_name(path: str, place: Place) -> str:
    """`llm.key` for a file of that name in the folder of secrets; folders below it are kept apart."""
    return path.removeprefix(f"{place.state}/secrets/").replace("/", "-")


def _escaped(value: object) -> object:
    """Compose reads `$` as the beginning of a variable; there are none here."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


def _service(
    one: Container, place: Place, secrets: dict[str, str], part: str, networks: tuple[str, ...]
) -> dict[str, Json]:
    known: dict[str, Json] = {
        "image": one.image,
        **_command(one, secrets),
        "user": one.user or place.owner,
        "environment": {**one.env, **(dict(one.grant.env) if one.grant else {})},
        "secrets": [secrets[path] for path in secrets_of(one)],
        "volumes": [_volume(mount) for mount in (*one.mounts, *(one.grant.mounts if one.grant else ()))],
        "tmpfs": list(one.temporary),
        **_network(one, networks),
        "healthcheck": _health(one.health) if one.health else None,
        **_limits(one),
        **(_devices(one.grant) if one.grant else {}),
        "read_only": one.read_only,
        "init": True,
        "cap_drop": ["ALL"],
        "cap_add": list(one.capabilities),
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "stop_grace_period": f"{one.stop_seconds}s",
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "labels": {"provision.state": place.state, "provision.part": part, "provision.kind": one.kind},
    }
    return {key: value for key, value in known.items() if value not in (None, [], {}, "")}


def _command(one: Container, secrets: dict[str, str]) -> dict[str, Json]:
    """The whole command line; a shell puts secrets into the environment of the program, and gives way to it."""
    if not one.argv:
        return {}
    if not one.secret_env:
        return {"entrypoint": [one.argv[0]], "command": list(one.argv[1:])}
    reads = "; ".join(f'{name}="$(cat {SECRETS}/{secrets[path]})"' for name, path in sorted(one.secret_env.items()))
    script = f'{reads}; export {" ".join(sorted(one.secret_env))}; exec "$@"'
    return {"entrypoint": ["/bin/sh", "-euc", script, "sh"], "command": list(one.argv)}


def _volume(mount: Mount) -> Json:
    first, _, rest = mount.source.partition("/")
    source = f"./{rest}" if first == HERE else mount.source
    return {
        "type": "bind",
        "source": source,
        "target": mount.target,
        "read_only": not mount.writable,
        "bind": {"create_host_path": False},
    }


def _network(one: Container, networks: tuple[str, ...]) -> dict[str, Json]:
    shared: dict[str, Json] = {"pid": "host"} if one.host_processes else {}
    if one.host_network:
        return {**shared, "network_mode": "host"}
    reached: Json = [CLOSED] if one.closed else list(networks)
    return {**shared, "networks": reached, "ports": [_port(port) for port in one.published]}


def _port(port: Published) -> Json:
    return {"target": port.inside, "published": str(port.port), "host_ip": port.host, "protocol": "tcp"}


def _health(health: Health) -> Json:
    return {
        "test": ["CMD", *health.command],
        "interval": f"{health.interval_seconds}s",
        "timeout": f"{health.timeout_seconds}s",
        "retries": health.retries,
        "start_period": f"{health.start_seconds}s",
    }


def _limits(one: Container) -> dict[str, Json]:
    """A limit of memory holds for what is swapped out as well: an engine that swaps does not answer."""
    memory = one.memory_max_bytes
    return {
        "cpuset": one.cpus,
        "mem_limit": memory,
        "memswap_limit": memory,
        "shm_size": one.shared_memory_bytes,
        "ulimits": {"nofile": {"soft": one.open_files, "hard": one.open_files}} if one.open_files else None,
    }


def _devices(grant: Grant) -> dict[str, Json]:
    found: dict[str, Json] = {"devices": [*grant.cdi, *grant.nodes], "group_add": list(grant.groups)}
    if grant.runtime:
        ids: Json = list(grant.runtime_ids)
        wanted: Json = [{"driver": grant.runtime, "device_ids": ids, "capabilities": ["gpu"]}]
        found["deploy"] = {"resources": {"reservations": {"devices": wanted}}}
    return found


def replace(standing: Standing, release: Release | None, place: Place) -> tuple[Action, ...]:
    ours = tuple(one for one in standing.running if one.target == NAME)
    if release is None or release.target != NAME:
        return (_compose(place, "down", "--remove-orphans", "--timeout", "30"),) if ours else ()
    return () if _stands(ours, release) else (_up(release, place),)


def _stands(ours: tuple[Running, ...], release: Release) -> bool:
    """All that is wanted runs, and nothing else is there: one that has ended is there as well."""
    wanted = parts_of(release)
    return bool(wanted) and {one.service: one.part if one.state == "running" else "" for one in ours} == wanted


def parts_of(release: Release) -> dict[str, str]:
    """What each container of a release is made from."""
    text = next((file.content for file in release.files if file.path == PARTS), "{}")
    return cast(dict[str, str], json.loads(text))


def restart(_standing: Standing, release: Release, place: Place) -> tuple[Action, ...]:
    return (_up(release, place, "--force-recreate"),)


def _up(release: Release, place: Place, *more: str) -> RunTool:
    folder = place.release(release.digest)
    lasting = ("--env-file", f"{folder}/{LASTING}") if any(one.path == LASTING for one in release.files) else ()
    upwards = ("up", "--detach", "--remove-orphans", "--pull", "never", *more)
    return RunTool(("docker", "compose", *lasting, "--file", f"{folder}/{COMPOSE}", *upwards), SECONDS)


def _compose(place: Place, *words: str) -> RunTool:
    return RunTool(("docker", "compose", "--project-name", place.project, *words), SECONDS)


TARGET = Target(name=NAME, files=files, replace=replace, restart=restart)
