"""The host's memory limits how many copies of a model are served; it does not refuse the one that it has room for."""

from provisioner.model.spec import Spec
from tests.unit.planning.samples import plan

SMALL = Spec(profile="lite", engine="vllm")


def test_a_small_host_serves_fewer_copies() -> None:
    roomy = plan("8x RTX 4090, 32 cores, 256 GiB", SMALL)
    tight = plan("8x RTX 4090, 32 cores, 12 GiB", SMALL)
    assert (roomy.verdict, roomy.parallel.replicas) == ("fits", 8)
    assert (tight.verdict, tight.parallel.replicas) == ("fits", 2)


def test_a_host_that_is_too_small_for_one_is_refused() -> None:
    assert plan("8x RTX 4090, 32 cores, 4 GiB", SMALL).verdict == "refused"
