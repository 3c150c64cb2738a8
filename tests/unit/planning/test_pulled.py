"""How much is to be pulled: said as far as it is known, and what is not known is said as well."""

from provisioner.model.containers import Container
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.release import Standing
from provisioner.model.spec import Spec
from provisioner.planning import pulled
from tests.unit.planning.samples import machine, plan

NOTHING = Standing(None, (), frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), ())
PAGE, ENGINE, OWN = "ghcr.io/open-webui/open-webui:v1", "docker.io/vllm/vllm-openai:v1", "registry.lab:5000/ours:1"


def of(*images: str) -> Plan:
    made = plan(machine("2 cores, 16 GiB"), Spec("demo"))
    return replace(made, beside=tuple(Container(f"c{number}", "c", image) for number, image in enumerate(images)))


def test_what_is_here_or_in_an_archive_is_not_pulled() -> None:
    standing = replace(NOTHING, images={PAGE: "sha256:1"}, archives={OWN: "/images/own.tar"})
    assert pulled.missing(of(PAGE, ENGINE, OWN), standing) == (ENGINE,)
    assert pulled.told(of(PAGE), ()) == ()


def test_a_mirror_has_the_same_images() -> None:
    alike = (ENGINE, "mirror.lab:5000/vllm/vllm-openai:v1", "mirror.lab/hub/vllm/vllm-openai@sha256:ab")
    assert {pulled.known_bytes((name,)) for name in alike} == {pulled.SIZES["vllm/vllm-openai"].size_bytes}
    assert pulled.known_bytes((OWN, "vllm/vllm-openai-cpu:v1")) == 0


def test_known_and_unknown_are_told_apart() -> None:
    (both,) = pulled.told(of(), (PAGE, ENGINE, OWN))
    assert both.level == "note"
    assert (
        f"3 images are to be pulled: 30.4 GiB at least for {PAGE}, {ENGINE}; of 1 more the size is not known"
        in both.message
    )
    (none,) = pulled.told(of(), (OWN,))
    assert "1 image is to be pulled; how large they are is not known" in none.message


def test_every_size_has_a_source() -> None:
    assert all("#" in said.source and said.size_bytes > 1 << 30 for said in pulled.SIZES.values())
