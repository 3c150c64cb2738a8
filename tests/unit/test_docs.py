"""The documentation says what the program does: commands parse, links resolve, settings exist, examples load."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import jsonschema
import pytest

from provisioner.catalog import Catalog, load_catalog, plugin_names, scan
from provisioner.cli import parse, split
from provisioner.commands import COMMANDS, load
from provisioner.loading import KEYS, load_spec
from provisioner.model.load import Degrees
from provisioner.model.plugins import Companion
from provisioner.model.spec import Rung
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.settings import KEYS as SETTINGS
from provisioner.planning.asked.settings import engine_named, wish_of
from provisioner.planning.memory import kv, sizing
from provisioner.planning.sources.stock import ROUNDED, Subject, from_checkpoint
from tests.program import run

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs/reference/commands.md"
EXAMPLE = ROOT / "docs/reference/provision.yaml"
PAGES = sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")})
WRITTEN = [page for page in PAGES if page != GENERATED]
CHINESE = {
    "README.md": "docs/zh/README.md",
    "docs/start.md": "docs/zh/start.md",
    "docs/journeys/fresh-server.md": "docs/zh/journeys/fresh-server.md",
    "docs/journeys/at-night.md": "docs/zh/journeys/at-night.md",
    "docs/reference/configuration.md": "docs/zh/reference/configuration.md",
    "docs/reference/how-it-plans.md": "docs/zh/reference/how-it-plans.md",
    "docs/reference/doctor.md": "docs/zh/reference/doctor.md",
    "docs/reference/upgrade.md": "docs/zh/reference/upgrade.md",
    "docs/reference/gateway.md": "docs/zh/reference/gateway.md",
    "docs/reference/clients.md": "docs/zh/reference/clients.md",
    "docs/reference/models.md": "docs/zh/reference/models.md",
    "docs/reference/chat-page.md": "docs/zh/reference/chat-page.md",
    "docs/reference/monitoring.md": "docs/zh/reference/monitoring.md",
}
"""English page and its Chinese twin."""

ENGINES = plugin_names("provisioner.engines")
TIERS = ("demo", "lite", "basic", "plus", "standard", "pro", "flagship")
FROM_HERE = "<!-- from the catalog"
STARTS = ("provision", ".venv/bin/provision", "python -m provisioner")
ENDS = ("|", ">", "&&", ";", "#")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code(page: Path) -> Iterator[str]:
    """Lines of code blocks, and what stands between backticks."""
    fenced = False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip().removeprefix("$ ").removeprefix("sudo ")
        else:
            yield from line.split("`")[1::2]


def commands(page: Path) -> Iterator[str]:
    """What follows the program's name in the command lines of a page; a line that only speaks of one is none."""
    for text in (part for line in code(page) for part in (line, *_inside(line))):
        start = next((start for start in STARTS if text == start or text.startswith(f"{start} ")), None)
        words = text.removeprefix(start).strip() if start else ""
        first = words.split(" ")[0]
        if start and words and (first.startswith("-") or first in COMMANDS) and "…" not in words:
            yield words


def _inside(line: str) -> list[str]:
    """Commands whose output the shell puts into a line: `$(…)`."""
    return [part.split(")")[0] for part in line.split("$(")[1:]]


def words_of(text: str) -> list[str]:
    """The words of one command, up to where the shell goes on, or the sentence."""
    words: list[str] = []
    for word in shlex.split(text.split("   ", maxsplit=1)[0], comments=True):
        if word in ENDS or word.startswith("("):
            break
        words.append(word)
    return words


LINES = sorted({(name(page), line) for page in WRITTEN for line in commands(page)})


@pytest.mark.parametrize(("page", "line"), LINES)
def test_every_command_line_is_one_that_the_program_understands(page: str, line: str) -> None:
    verb, rest = split(words_of(line))
    if not ({"--help", "--version"} & set(rest)):
        arguments = parse(verb or "up", load(verb or "up"), rest)
        for key in arguments.pairs("set"):
            flags = {flag for engine in ENGINES for flag in flags_of(engine)}
            assert key in SETTINGS or key in flags | settings_of_services() or key.endswith(".image"), key


def test_command_lines_are_found_in_both_languages() -> None:
    pages = {page for page, _ in LINES}
    assert {"README.md", "docs/start.md", "docs/zh/README.md", "docs/zh/start.md"} <= pages
    assert len(LINES) > 100


def test_every_command_of_the_program_is_in_a_journey() -> None:
    told = {
        split(words_of(line))[0] for page, line in LINES if page.startswith(("README", "docs/start", "docs/journeys"))
    }
    assert set(COMMANDS) - told <= {"render"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_resolves(page: Path) -> None:
    targets = [part.split(")")[0] for part in page.read_text().split("](")[1:]]
    local = [target.split("#")[0] for target in targets if "://" not in target and not target.startswith("#")]
    assert [target for target in local if not (page.parent / target).exists()] == []


def flags_of(engine: str) -> set[str]:
    return {f"engine.{flag}" for flag in engine_named(engine).options}


def settings_of_services() -> set[str]:
    """What is set of a service by its name, and the name alone, by which it is left out."""
    services = cast(Mapping[str, Companion], scan("provisioner.services", "SERVICE"))
    return {word for one in services.values() for word in (one.name, *(f"{one.name}.{key}" for key in one.settings))}


def first_cells(page: Path, heading: str) -> set[str]:
    """The words between backticks in the first column of the table below a heading."""
    section = page.read_text().split(f" {heading}\n")[1].split("\n##")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {word for cell in rows for word in cell.split("`")[1::2]}


@pytest.mark.parametrize(
    ("page", "keys", "settings"),
    [
        ("docs/reference/configuration.md", "Keys", "Settings"),
        ("docs/zh/reference/configuration.md", "键", "单项设置"),
    ],
)
def test_the_tables_name_every_key_and_setting_and_no_other(page: str, keys: str, settings: str) -> None:
    assert first_cells(ROOT / page, keys) == set(KEYS)
    assert first_cells(ROOT / page, settings) == set(SETTINGS)


@pytest.mark.parametrize("page", ["docs/reference/configuration.md", "docs/zh/reference/configuration.md"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_s_table_names_every_flag_and_no_other(page: str, engine: str) -> None:
    assert first_cells(ROOT / page, f"`{engine}`") == flags_of(engine)


def test_the_example_file_loads_and_means_something() -> None:
    wish = wish_of(load_spec(str(EXAMPLE), {}, {}))
    assert (wish.profile, wish.precision, wish.context, wish.concurrency) == ("basic", "q4_k_m", 16384, 4)
    assert (wish.target, wish.host, wish.port, wish.threads, wish.cpus) == ("systemd", "127.0.0.1", 8000, 8, "0-7")
    assert wish.options == {"cache-type-k": "q8_0"}


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_a_chinese_page_has_the_commands_of_its_english_twin(english: str, chinese: str) -> None:
    ours = set(commands(ROOT / english))
    theirs = set(commands(ROOT / chinese))
    assert {line.split(" #")[0].strip() for line in theirs} == {line.split(" #")[0].strip() for line in ours}


def test_the_table_of_exit_codes_is_whole() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| ")]
    assert [row[2] for row in rows if row[2].isdigit()] == list("012345")


def test_the_readme_and_the_contributing_page_stay_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 100


def test_schemas_are_named_for_the_index() -> None:
    folder = ROOT / "docs/reference"
    index = (folder / "README.md").read_text()
    for schema in folder.glob("*.schema.json"):
        assert f"({schema.name})" in index
        assert json.loads(schema.read_text())


def test_a_comparison_keeps_its_schema_and_each_of_its_plans_the_schema_of_plans() -> None:
    ran = run("plan", "--hardware", "4 cores, 8 GiB", "--compare", "demo", "--compare", "pro", "--json")
    told = json.loads(ran.out)
    jsonschema.Draft202012Validator(schema("comparison")).validate(told)
    assert [one["name"] for one in told["plans"]] == ["demo", "pro"]
    for one in told["plans"]:
        jsonschema.Draft202012Validator(schema("plan")).validate(one["plan"])


def schema(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((ROOT / f"docs/reference/{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_the_profiles_page_is_the_catalog() -> None:
    page = ROOT / "docs/reference/profiles.md"
    head, marker, rest = page.read_text().partition(FROM_HERE)
    line = rest.split("\n", 1)[0]
    fresh = f"{head}{marker}{line}\n\n{profiles(load_catalog())}"
    if os.environ.get("GOLDEN") == "write":
        page.write_text(fresh)
    assert page.read_text() == fresh


def profiles(catalog: Catalog) -> str:
    return "\n".join(section for tier in TIERS for section in profile(catalog, tier))


def profile(catalog: Catalog, tier: str) -> Iterator[str]:
    wanted = catalog.profile(tier)
    model = catalog.model(wanted.model)
    yield f"## {tier}: {wanted.title}\n"
    yield wanted.purpose
    yield f"Model `{model.id}` ({model.title}), {wanted.concurrency} requests at a time.\n"
    yield "| step | files | context | placement | weights | cache | needed on the card | on the host |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for rung in wanted.ladder:
        yield row(catalog, wanted.model, rung, wanted.concurrency)
    yield ""


def row(catalog: Catalog, model: str, rung: Rung, slots: int) -> str:
    entry = catalog.model(model)
    checkpoint = from_checkpoint(entry, rung.precision) if rung.placement == "device" else ""
    cells = shared(checkpoint, rung, slots) if isinstance(checkpoint, Subject) else held(catalog, model, rung, slots)
    return f"| {' | '.join((rung.precision, *cells))} |"


def shared(subject: Subject, rung: Rung, slots: int) -> tuple[str, ...]:
    """Of engines that fill what they get with cache: the least that all cards have to hold together."""
    cache = kv.bytes_per_token(subject.geometry, Degrees()) * rung.context * slots
    least = f"more than {size(subject.weights_bytes + cache)}"
    return ("safetensors", str(rung.context), rung.placement, size(subject.weights_bytes), size(cache), least, "–")


def held(catalog: Catalog, model: str, rung: Rung, slots: int) -> tuple[str, ...]:
    """Of engines that take what is needed and no more."""
    entry = catalog.model(model)
    offer = entry.offer(rung.precision)
    assert offer is not None, (model, rung)
    weights = offer.bytes if offer.exact else round(offer.bytes * ROUNDED)
    need = sizing.need(entry.architecture, weights, rung.context, slots)
    model_bytes = need.weights_bytes + need.kv_bytes + need.activation_bytes
    on_card = {"device": size(model_bytes + sizing.CUDA_BYTES), "split": "what it has room for"}.get(
        rung.placement, "–"
    )
    on_host = {"host": size(model_bytes + need.process_bytes), "split": "the rest"}.get(rung.placement, "–")
    return ("GGUF", str(rung.context), rung.placement, size(weights), size(need.kv_bytes), on_card, on_host)
