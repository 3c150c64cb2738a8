"""Units as they were reviewed (`make golden` writes them anew), and what is done about units in any state."""

import os

import pytest

from provisioner.model.actions import Action
from provisioner.model.plan import Parallel, Plan, Service
from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.release import Release, ReleaseFile, Running, Standing
from provisioner.rendering import HERE, digest_of, drafts_of, parts_of, render
from provisioner.targets.systemd import TARGET, path, quote, text

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "..", "golden", "systemd")
SYSTEM = Place("/var/lib/provision", "/usr/bin/python3", "/etc/systemd/system", user_manager=False)
USER = Place(
    "/home/lab/.local/state/provision", "/usr/bin/python3", "/home/lab/.config/systemd/user", user_manager=True
)
SERVICE = Service(
    name="llm", engine="llamacpp", argv=("/usr/bin/python3",), env={}, host="127.0.0.1", port=8000, model_name="qwen3-8b",
    model_path="/var/lib/provision/models/0123456789abcdef/qwen3-8b.gguf", context=8192, slots=2, cpus=None,
    numa_nodes=None, memory_max_bytes=9 * 2**30, key_file="/var/lib/provision/secrets/llm.key", health_path="/health",
    ready_seconds=60, first_token_seconds=30, open_files=4096,
)  # fmt: skip
UNIT = "provision-llm.service"
NOTHING = Standing(None, (), frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), ())


PLAN = Plan(
    verdict="fits", profile="lite", hostname="h", model=None, engine="llamacpp", target="systemd",
    parallel=Parallel(), context=8192, memory=None, capacity=None, services=(SERVICE,), decisions=(),
    binding="", cheapest_changes=(), findings=(),
)  # fmt: skip


def release(service: Service = SERVICE, place: Place = SYSTEM) -> Release:
    return render(replace(PLAN, services=(service,)), TARGET, place)


def units(made: Release) -> dict[str, str]:
    return {file.path.removeprefix("systemd/"): file.content for file in made.files if file.path.startswith("systemd/")}


def serving(made: Release) -> Standing:
    """Everything as `up` leaves it."""
    return replace(
        NOTHING,
        current=made,
        running=(Running("llm", made.digest, "systemd", 100, 1, "S"),),
        units=frozenset(units(made).items()),
        enabled=frozenset({f"multi-user.target.wants/{UNIT}"}),
    )


def told(actions: tuple[Action, ...]) -> list[str]:
    return [str(action) for action in actions]


@pytest.mark.parametrize(
    ("case", "service", "place"),
    [
        ("one-cpu-list", replace(SERVICE, cpus="0-7,16-23"), SYSTEM),
        ("two-numa-nodes", replace(SERVICE, cpus="0-31", numa_nodes="0-1"), SYSTEM),
        ("with-a-card", replace(SERVICE, devices=("nvidia:0",)), SYSTEM),
        ("user-manager", replace(SERVICE, cpus="0-3"), USER),
        ("user-manager-with-a-card", replace(SERVICE, devices=("nvidia:0",)), USER),
    ],
)
def test_units_are_those_that_were_reviewed(case: str, service: Service, place: Place) -> None:
    made = release(service, place)
    assert sorted(units(made)) == [UNIT, "provision.slice"]
    for name, unit in units(made).items():
        content = unit.replace(made.digest, "0" * 64)  # What else a release holds is no matter of its units.
        file = os.path.join(GOLDEN, case, name)
        if os.environ.get("GOLDEN") == "write":
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "w", encoding="utf-8") as stream:
                stream.write(content)
        with open(file, encoding="utf-8") as stream:
            assert stream.read() == content


def test_a_first_release_is_written_read_enabled_and_started() -> None:
    assert told(TARGET.replace(NOTHING, release(), SYSTEM)) == [
        f"install -m 644 {UNIT} /etc/systemd/system/{UNIT}",
        "install -m 644 provision.slice /etc/systemd/system/provision.slice",
        "systemctl daemon-reload",
        f"systemctl enable {UNIT}",
        f"systemctl restart {UNIT}",
    ]


def test_what_stands_is_left_alone() -> None:
    assert TARGET.replace(serving(release()), release(), SYSTEM) == ()


def test_another_slice_needs_no_restart() -> None:
    standing = serving(release())
    edited = frozenset({(UNIT, units(release())[UNIT]), ("provision.slice", "edited")})
    assert told(TARGET.replace(replace(standing, units=edited), release(), SYSTEM)) == [
        "install -m 644 provision.slice /etc/systemd/system/provision.slice",
        "systemctl daemon-reload",
    ]


OTHER = replace(SERVICE, name="llm-other", port=8001)


def with_other(service: Service = SERVICE) -> Release:
    return render(replace(PLAN, services=(service, OTHER)), TARGET, SYSTEM)


def test_a_release_that_leaves_a_service_as_it_was_leaves_it_running() -> None:
    """Its unit reads the new release's folder from now on: should it end, it starts from there."""
    before, after = release(), with_other()
    standing = serving(before)
    running = tuple(replace(one, part=parts_of(before)[one.service]) for one in standing.running)
    assert told(TARGET.replace(replace(standing, running=running), after, SYSTEM)) == [
        "install -m 644 provision-llm-other.service /etc/systemd/system/provision-llm-other.service",
        f"install -m 644 {UNIT} /etc/systemd/system/{UNIT}",
        "install -m 644 provision.slice /etc/systemd/system/provision.slice",
        "systemctl daemon-reload",
        "systemctl enable provision-llm-other.service",
        "systemctl restart provision-llm-other.service",
    ]


@pytest.mark.parametrize("what", ["another command", "another unit around it", "an edited unit", "an older program"])
def test_a_service_that_is_not_as_it_was_is_restarted(what: str) -> None:
    before = release()
    after = with_other(replace(SERVICE, argv=("/usr/bin/python3", "-v")) if what == "another command" else SERVICE)
    if what == "another unit around it":
        after = render(replace(PLAN, services=(SERVICE, OTHER)), TARGET, replace(SYSTEM, python="/opt/python3"))
    standing = serving(before)
    part = "" if what == "an older program" else parts_of(before)["llm"]
    units_there = {(name, text + "\n# by hand" if what == "an edited unit" else text) for name, text in standing.units}
    standing = replace(
        standing,
        running=tuple(replace(one, part=part) for one in standing.running),
        units=frozenset(units_there),
    )
    assert f"systemctl restart {UNIT}" in told(TARGET.replace(standing, after, SYSTEM))


def test_taken_down_it_is_stopped_before_its_files_go_and_forgotten_after() -> None:
    assert told(TARGET.replace(serving(release()), None, SYSTEM)) == [
        f"systemctl disable --now {UNIT}",
        "systemctl stop provision.slice",
        f"rm -f /etc/systemd/system/{UNIT}",
        "rm -f /etc/systemd/system/provision.slice",
        "systemctl daemon-reload",
        "systemctl reset-failed 'provision-llm[.]service'",
    ]


def test_without_its_file_a_unit_is_stopped_by_what_systemd_knows_and_its_link_goes() -> None:
    standing = replace(serving(release()), units=frozenset())
    assert told(TARGET.replace(standing, None, SYSTEM)) == [
        "systemctl stop 'provision-llm[.]service'",
        f"rm -f /etc/systemd/system/multi-user.target.wants/{UNIT}",
        "systemctl daemon-reload",
        "systemctl reset-failed 'provision-llm[.]service'",
    ]


def test_a_user_asks_their_own_manager() -> None:
    made = release(place=USER)
    asked = [line for line in told(TARGET.replace(NOTHING, made, USER)) if line.startswith("systemctl")]
    assert asked
    assert all(line.startswith("systemctl --user ") for line in asked)


def test_a_state_among_temporary_files_is_not_hidden_from_its_own_service() -> None:
    place = replace(SYSTEM, state="/tmp/trial")
    assert "PrivateTmp" in units(release())[UNIT]
    assert "PrivateTmp" not in units(release(place=place))[UNIT]


def test_two_states_mark_their_units_differently() -> None:
    other = release(place=replace(SYSTEM, state="/srv/other"))
    assert units(release())["provision.slice"] != units(other)["provision.slice"]


@pytest.mark.parametrize(
    ("word", "quoted"),
    [("a b", '"a b"'), ('say "x"', '"say \\"x\\""'), ("100%", '"100%%"'), ("back\\slash", '"back\\\\slash"')],
)
def test_words_reach_systemd_as_they_are(word: str, quoted: str) -> None:
    assert quote(word) == path(word) == quoted


def test_only_command_lines_have_variables() -> None:
    assert quote("$HOME") == '"$$HOME"'
    assert path("$HOME") == '"$HOME"'


def test_a_state_path_of_any_letters_reaches_the_keeper_and_the_digest_holds() -> None:
    place = replace(SYSTEM, state='/srv/100%h $x "q" \\')
    made = release(place=place)
    started = next(line for line in units(made)[UNIT].splitlines() if line.startswith("ExecStart="))
    folder = '/srv/100%%h $$x \\"q\\" \\\\/releases'
    part = parts_of(made)["llm"]
    assert started.endswith(f' "--under=systemd" "--part={part}" "{folder}/{made.digest}/units/llm.json"')
    assert digest_of(drafts_of(made.files, place.release(made.digest))) == made.digest


def test_outside_of_units_the_folder_is_named_as_it_is() -> None:
    place = replace(SYSTEM, state="/srv/100%")
    script = ReleaseFile("start.sh", f"exec {HERE}/run", 0o755)
    made = render(PLAN, replace(TARGET, files=lambda _plan, _place: (script,)), place)
    assert made.files[0].content == f"exec /srv/100%/releases/{made.digest}/run"
    assert digest_of(drafts_of(made.files, place.release(made.digest))) == made.digest


def test_a_title_stays_on_its_line() -> None:
    assert text("100% of\nit \\") == "100%% of it"
