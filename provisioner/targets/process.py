"""Bare processes: each service with a keeper, started detached, found again through the release that it was started from."""

import shlex
from collections.abc import Mapping

from provisioner.model.actions import Action, StartProcess, StopProcess
from provisioner.model.plan import Plan, Service
from provisioner.model.plugins import Place, Target
from provisioner.model.release import Release, ReleaseFile, Running, Standing
from provisioner.rendering import parts_of, unit_file

NAME = "process"


def files(plan: Plan, place: Place) -> tuple[ReleaseFile, ...]:
    units = tuple(unit_file(service, place) for service in plan.services)
    return (*units, ReleaseFile("start.sh", script(plan.services), 0o755))


def script(services: tuple[Service, ...]) -> str:
    """The same stack without us, for a person with a shell."""
    lines = ["#!/bin/sh", "# Starts what this release serves, in the foreground of this shell.", "set -eu"]
    for service in services:
        words = [*(f"{key}={value}" for key, value in sorted(service.env.items())), *service.argv]
        prefix = ["taskset", "-c", service.cpus] if service.cpus else []
        lines.append(f"{shlex.join(['env', *words[: len(service.env)], *prefix, *service.argv])} &")
    return "\n".join([*lines, "wait", ""])


def replace(standing: Standing, release: Release | None, place: Place) -> tuple[Action, ...]:
    ours = tuple(one for one in standing.running if one.target == NAME)
    if release is None:
        return tuple(stop(one) for one in ours)
    parts = parts_of(release)
    kept = {one.service for one in ours if _goes_on(one, release, parts)}
    stops = (stop(one) for one in ours if not _goes_on(one, release, parts))
    starts = (start(service, release, place) for service in release.services if service.name not in kept)
    return (*stops, *starts)


def _goes_on(one: Running, release: Release, parts: Mapping[str, str]) -> bool:
    """Whether the release has the same service, as this one or as an earlier one that it was started from."""
    return one.service in parts and (one.digest == release.digest or one.part == parts[one.service])


def restart(standing: Standing, release: Release, place: Place) -> tuple[Action, ...]:
    ours = tuple(one for one in standing.running if one.target == NAME)
    return (*(stop(one) for one in ours), *(start(service, release, place) for service in release.services))


def stop(one: Running) -> StopProcess:
    return StopProcess(service=one.service, digest=one.digest, pid=one.pid, started=one.started)


def start(service: Service, release: Release, place: Place) -> StartProcess:
    return StartProcess(
        service=service.name,
        digest=release.digest,
        unit=f"{place.release(release.digest)}/units/{service.name}.json",
        part=parts_of(release).get(service.name, ""),
    )


TARGET = Target(name=NAME, files=files, replace=replace, restart=restart)
