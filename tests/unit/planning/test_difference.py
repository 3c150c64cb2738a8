"""What an upgrade would change, in words."""

from provisioner.model.containers import Container, ReleaseFile
from provisioner.model.record import replace
from provisioner.planning.difference import differences
from tests.unit.views import several
from tests.unit.views.samples import PLAN, SERVICE


def told(**changes: object) -> list[tuple[str, str, str]]:
    return [(one.what, one.before, one.after) for one in differences(PLAN, replace(PLAN, **changes))]  # type: ignore[arg-type]


def test_the_same_plan_differs_in_nothing() -> None:
    assert differences(PLAN, PLAN) == ()


def test_flags_are_told_one_by_one() -> None:
    before = replace(PLAN, services=(replace(SERVICE, argv=("serve", "--threads", "4", "--flash", "--kv=f16")),))
    after = replace(PLAN, services=(replace(SERVICE, argv=("serve", "--threads", "8", "--kv=q8", "--mlock")),))
    assert [(one.what, one.before, one.after) for one in differences(before, after)] == [
        ("llm: --threads", "4", "8"),
        ("llm: --flash", "yes", ""),
        ("llm: --kv", "f16", "q8"),
        ("llm: --mlock", "", "yes"),
    ]


def test_another_image_and_another_model() -> None:
    model = PLAN.model
    assert model
    changes = told(model=replace(model, id="other"), services=(replace(SERVICE, image="engine@sha256:2"),))
    assert changes == [("model", model.id, "other"), ("llm: image", "", "engine@sha256:2")]


def test_what_stands_beside_comes_and_goes_and_files_are_told_by_their_content() -> None:
    page = Container("webui", "openwebui", "page:1")
    with_page = replace(PLAN, beside=(page,), files=(ReleaseFile("gateway/nginx.conf", "one"),))
    newer = replace(
        with_page, beside=(replace(page, image="page:2"),), files=(ReleaseFile("gateway/nginx.conf", "two"),)
    )
    assert [one.what for one in differences(with_page, newer)] == ["webui: image", "file gateway/nginx.conf"]
    assert ("webui", "page:1", "") in [(one.what, one.before, one.after) for one in differences(with_page, PLAN)]


def test_a_model_that_goes_and_one_that_comes_are_each_one_difference() -> None:
    other = replace(several.SERVICES[2], name="llm-phi-4", model_name="phi-4")
    changed = replace(
        several.PLAN,
        models=(several.PLAN.models[0], replace(several.PLAN.models[1], services=("llm-phi-4",))),
        services=(*several.SERVICES[:2], other),
    )
    assert [(one.what, one.before, one.after) for one in differences(several.PLAN, changed)] == [
        ("llm-qwen3-0-6b", "qwen3-0.6b on llamacpp at 127.0.0.1:8002", ""),
        ("llm-phi-4", "", "phi-4 on llamacpp at 127.0.0.1:8002"),
    ]
    alone = replace(several.PLAN, models=(), services=several.SERVICES[:2])
    assert ("model", "qwen3-8b, qwen3-0.6b", "qwen3-8b") in [
        (one.what, one.before, one.after) for one in differences(several.PLAN, alone)
    ]
