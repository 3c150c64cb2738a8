"""What each service of a plan is given: ports, processors, memory, folders, and the words of its command line."""

import pytest

from provisioner.errors import BadInput
from provisioner.model.spec import Spec
from tests.unit.planning.samples import plan

EIGHT = "8x h100-sxm-80g, 2 sockets, 64 cores, 512 GiB"


@pytest.mark.parametrize("image", ["-v /:/x", "--privileged", "one two", "", "name;true"])
def test_what_is_no_name_of_an_image_is_refused(image: str) -> None:
    with pytest.raises(BadInput, match="is no name of an image"):
        plan("1x h100-sxm-80g, 128 GiB", Spec(model="qwen3-8b", settings={"image": image}))


@pytest.mark.parametrize("image", ["vllm", "registry.example:5000/a/vllm:v1", f"vllm@sha256:{'0' * 64}"])
def test_an_image_is_taken_by_tag_or_digest(image: str) -> None:
    made = plan("1x h100-sxm-80g, 128 GiB", Spec(model="qwen3-8b", settings={"image": image}))
    assert made.services[0].image == image


def test_copies_end_on_the_last_port_and_not_after_it() -> None:
    made = plan(EIGHT, Spec(model="qwen3-8b", settings={"port": "65528"}))
    assert [service.port for service in made.services] == list(range(65528, 65536))
    with pytest.raises(BadInput, match="would end on 65537; 65535 is the last"):
        plan(EIGHT, Spec(model="qwen3-8b", settings={"port": "65530"}))


def test_several_models_end_on_the_last_port_and_not_after_it() -> None:
    with pytest.raises(BadInput, match="would end on 65536; 65535 is the last"):
        plan("1x L40S, 128 GiB", Spec(models=("qwen2.5-32b-instruct", "qwen3-0.6b"), settings={"port": "65535"}))
