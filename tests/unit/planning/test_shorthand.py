"""A machine in one line: what is said, what is taken as enough, and what is not understood."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.accelerators.nvidia import parse
from provisioner.errors import BadInput
from provisioner.model.facts import Accelerator, Cpu, Host, HostFacts, Memory, Unknown
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.devices import named
from provisioner.planning.asked.dimms import Dimms, heard
from provisioner.planning.asked.whatif import what_if
from tests.unit.planning.samples import CATALOG, GIB, machine, plan


def cards(facts: HostFacts) -> tuple[Accelerator, ...]:
    return tuple(card for found in facts.accelerators.values() if not isinstance(found, Unknown) for card in found)


def test_the_line_of_the_design() -> None:
    facts = machine("8x RTX 4090, 2 sockets, 128 cores, 512 GiB, 2 nodes, nvlink=no")
    assert isinstance(facts.cpu, Cpu)
    assert isinstance(facts.memory, Memory)
    assert (facts.cpu.sockets, facts.cpu.cores, facts.memory.total_bytes) == (2, 128, 512 * GIB)
    assert [card.name for card in cards(facts)] == ["NVIDIA GeForce RTX 4090"] * 8
    assert {link.kind for card in cards(facts) for link in card.links} == {"pcie"}
    assert not isinstance(facts.numa, Unknown)
    assert len(facts.numa) == 2
    assert set(facts.assumed) == {"filesystems", "network", "software.runtime"}


@pytest.mark.parametrize(
    ("words", "memory", "channels", "transfers"),
    [
        ("2 sockets, 768 GiB DDR5-4800, 24 channels", 768, 24, 4800),
        ("2 sockets, 12 channels per socket of DDR5-4800, 1.5 TiB", 1536, 24, 4800),
        ("1 socket, 12x 64 GB DDR5 6400 MT/s, 12-channel", 768, 12, 6400),
        ("64 GiB of DDR4-3200, 2 channels", 64, 2, 3200),
        ("8 channels/socket, 2 sockets, 3200 MT/s, 512 GB RAM", 512, 16, 3200),
        ("96 GiB LPDDR5X-8533, 4 channels", 96, 4, 8533),
        ("768 GiB of memory, 12 channels at 4800 MT/s", 768, 12, 4800),
        ("2 sockets, 12 channels a socket and 768 GiB, DDR5 4800 MHz", 768, 24, 4800),
        ("DDR5 512 GiB, 8-channel, DDR5-5600", 512, 8, 5600),
        ("12x 64 GB DDR5-4800 ECC RDIMM, 12 channels each, 2 sockets", 768, 24, 4800),
        ("12x 64 GB RAM, DDR5, 2400 MT/s, 12 channels", 768, 12, 2400),
    ],
)  # fmt: skip
def test_what_the_memory_is_made_of_is_understood(words: str, memory: int, channels: int, transfers: int) -> None:
    found = machine(words).memory
    assert isinstance(found, Memory)
    assert (found.total_bytes, found.channels, found.mega_transfers) == (memory * GIB, channels, transfers)


def test_a_machine_with_a_chip_of_apples_is_a_mac() -> None:
    for text, told in (
        ("1x M3 Ultra, 512 GiB", ("macOS", "Darwin")),
        ("1x RTX 4090", ("Linux", "Linux")),
        ("1x GB10", ("Linux", "Linux")),
    ):
        host = machine(text).host
        assert isinstance(host, Host)
        assert (host.os, host.system) == told


@pytest.mark.parametrize(
    ("words", "meant"),
    [("12 chanels", "channels"), ("64 coers", "cores"), ("2 nods", "nodes"), ("1x RTX 4091", "rtx4090")],
)
def test_a_slip_of_the_hand_is_offered_the_nearest_word(words: str, meant: str) -> None:
    with pytest.raises(BadInput) as refused:
        machine(words)
    assert meant in refused.value.fix


def test_words_that_only_begin_like_it_are_something_else() -> None:
    assert heard(Dimms(), "8x h20") == (Dimms(), "8x h20")
    assert heard(Dimms(), "512 gib ram") == (Dimms(), "512 gib ram")
    with pytest.raises(BadInput, match="no known accelerator"):
        machine("DDR5-4800000")


def test_other_memory_is_tried_by_what_if() -> None:
    found = what_if(
        machine("1 socket, 64 cores, 256 GiB DDR5-4800, 8 channels"), "512 GiB DDR5-6400, 12 channels", CATALOG
    ).memory
    assert isinstance(found, Memory)
    assert (found.total_bytes, found.channels, found.mega_transfers) == (512 * GIB, 12, 6400)


@pytest.mark.parametrize("words", ["64 GiB DDR5-48000", "0 channels", "900 channels", "9 MT/s", "999999 MT/s"])
def test_memory_that_no_machine_has_is_refused(words: str) -> None:
    with pytest.raises(BadInput, match="no machine has"):
        machine(words)


def test_more_channels_make_more_tokens_and_the_basis_names_them() -> None:
    wanted = Spec(profile="standard", engine="llamacpp")
    told = [plan(f"1 socket, 64 cores, 256 GiB DDR5-4800, {count} channels", wanted).capacity for count in (2, 8)]
    few, many = [one for one in told if one and one.tokens_per_second]
    assert "2 channels at 4800 MT/s" in few.basis
    assert "8 channels at 4800 MT/s" in many.basis
    assert (many.tokens_per_second or 0) > 2 * (few.tokens_per_second or 0)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("RTX 4090", "rtx4090-24g"), ("rtx4090", "rtx4090-24g"), ("NVIDIA GeForce RTX 4090", "rtx4090-24g"),
        ("rtx4090-48g-mod", "rtx4090-48g-mod"), ("RTX 4090 D", "rtx4090d-24g"), ("H20-3e", "h20-3e-141g"),
        ("A100 80GB SXM", "a100-sxm-80g"), ("A100 80GB PCIe", "a100-pcie-80g"), ("V100 SXM2 32GB", "v100-sxm2-32g"),
        ("K100-AI", "hygon-k100-ai"), ("K100_AI", "hygon-k100-ai"), ("H200", "h200-sxm-141g"), ("H20", "h20-96g"),
        ("H100 SXM", "h100-sxm-80g"), ("H100 PCIe", "h100-pcie-80g"), ("L40S", "l40s-48g"), ("l4", "l4-24g"),
        ("910B4", "ascend-910b4"), ("Ascend 910B3", "ascend-910b3"), ("MI300X", "mi300x-192g"), ("P800", "kunlun-p800"),
        ("RTX PRO 6000", "rtx-pro-6000-bw-96g"), ("RTX 5090", "rtx5090-32g"), ("B200", "b200-180g"), ("A800", "a800-80g"),
    ],
)  # fmt: skip
def test_names_are_understood_as_people_write_them(name: str, entry: str) -> None:
    assert cards(machine(f"1x {name}"))[0].name == CATALOG.accelerator(entry).name
    assert cards(machine(f"1x {name}"))[0].memory_bytes == CATALOG.accelerator(entry).memory_bytes


@pytest.mark.parametrize("entry", sorted(CATALOG.accelerators))
def test_every_id_of_the_catalog_names_its_entry(entry: str) -> None:
    assert named(CATALOG, entry) == (entry,)
    assert named(CATALOG, entry.upper().replace("-", " ")) == (entry,)


@pytest.mark.parametrize(
    "text",
    [
        "2x RTX 4090",
        "2 x RTX 4090",
        "RTX 4090 x2",
        "RTX 4090 x 2",
        "2× RTX 4090",
        " 2X rtx-4090 ",
        "2 RTX 4090",
        "2*4090",
        "dual 4090",
        "2卡4090",
    ],
)
def test_counts_are_written_in_several_ways(text: str) -> None:
    assert len(cards(machine(text))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "8x H20, 2 nodes", "2 x 8 x H20", "2x8 H20", "8x H20 x2", "2 nodes of 8x H20", "2 servers with 8 H20", "2 hosts 8*H20",
        "2台8卡H20", "2 machines, 8x H20",
    ],
)  # fmt: skip
def test_machines_are_counted_before_their_cards(text: str) -> None:
    facts = machine(f"{text}, 2 TiB")
    assert (facts.nodes, len(cards(facts))) == (2, 8)


@pytest.mark.parametrize("text", ["2080 Ti", "3 x 2 x 2 x 4090", "3 nodes of 2 x 2 x 4090", "8x", "x8", "2 x"])
def test_what_is_no_count_is_a_name(text: str) -> None:
    if text == "2080 Ti":
        assert len(cards(machine(text))) == 1
        return
    with pytest.raises(BadInput):
        machine(text)


def test_cards_of_two_kinds_are_counted_on() -> None:
    found = cards(machine("2x L40S, 1x H200, 256 GiB"))
    assert [(card.index, card.name) for card in found] == [(0, "NVIDIA L40S"), (1, "NVIDIA L40S"), (2, "NVIDIA H200")]


def test_what_is_not_said_is_assumed_and_listed() -> None:
    facts = machine("2x RTX 4090")
    assert set(facts.assumed) == {
        "cpu.sockets", "cpu.cores", "memory.total_bytes", "filesystems", "accelerators.links", "software.runtime",
    }  # fmt: skip
    assert isinstance(facts.memory, Memory)
    assert facts.memory.total_bytes >= 2 * 2 * 23 * GIB


def test_a_machine_without_cards() -> None:
    assert cards(machine("no gpu, 2 cores, 8 GB")) == ()
    assert cards(machine("2 cores, 8 GB")) == ()


def test_disks_and_memory_are_told_apart() -> None:
    facts = machine("8 cores, 64 GB RAM, 2 TB disk")
    assert isinstance(facts.memory, Memory)
    assert not isinstance(facts.filesystems, Unknown)
    assert (facts.memory.total_bytes, facts.filesystems[0].free_bytes) == (64 * GIB, 2 << 40)


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("2x RTX 4091", "`RTX 4091` is no known accelerator", "rtx4090"),
        ("8 elephants", "is no known accelerator", "did you mean"),
        ("", "describes no machine", "RTX 4090"),
        ("nvlink=maybe", "was not understood", "nvlink=no"),
        ("0x RTX 4090", "a count from 1 to 64", "--hardware"),
        ("2.5 cores", "a whole number from 1 to 8192", "--hardware"),
        ("A100", "may be", "name one"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, message: str, fix: str) -> None:
    with pytest.raises(BadInput) as caught:
        machine(text)
    assert message in caught.value.message
    assert fix in caught.value.fix


def understood(text: str) -> HostFacts | BadInput:
    """Any other exception is a traceback for a typing mistake, and fails the test."""
    try:
        return machine(text)
    except BadInput as error:
        return error


@given(st.text(max_size=60))
def test_any_text_is_a_machine_or_bad_input(text: str) -> None:
    assert isinstance(understood(text), HostFacts | BadInput)


WORDS = (
    "8x",
    "RTX 4090",
    "H200",
    "128 cores",
    "0 cores",
    "1e9 GiB",
    "99999999999 GiB",
    "2 sockets",
    ".",
    "=",
    "nvlink=yes",
    "×",
    "1 1",
)


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(", ".join))
def test_any_mix_of_words_is_a_machine_or_bad_input(text: str) -> None:
    assert isinstance(understood(text), HostFacts | BadInput)


def test_a_card_that_shares_the_hosts_memory_is_described_and_its_bytes_are_counted_once() -> None:
    facts = machine("1x GB10")
    assert isinstance(facts.memory, Memory)
    assert facts.memory.total_bytes > 118 * GIB
    made = plan(facts, Spec(model="gpt-oss-120b"))
    assert made.verdict == "fits"
    assert made.memory is not None
    assert {one.device for one in made.memory.per_device} == {"nvidia:0", "host"}
    assert sum(one.budget_bytes for one in made.memory.per_device) < facts.memory.available_bytes


def test_such_a_machine_has_the_memory_that_is_said_and_may_use_all_of_it_from_the_host() -> None:
    assert plan("1x GB10, 64 GiB", Spec(model="gpt-oss-120b", engine="vllm")).verdict == "refused"
    on_host = plan("1x GB10", Spec(model="qwen3-32b", settings={"placement": "host"}))
    assert on_host.verdict == "fits"
    assert on_host.memory is not None
    assert on_host.memory.per_device[0].budget_bytes > 100 * GIB


def test_several_of_them_are_several_machines() -> None:
    with pytest.raises(BadInput, match="alone there") as caught:
        machine("2x GB10")
    assert "1x GB10, 2 nodes" in caught.value.fix
    assert machine("1x GB10, 2 nodes").nodes == 2


def test_a_machine_whose_driver_tells_no_memory_of_such_a_card_is_planned_the_same() -> None:
    """NVML answers `not supported` for the memory of a GB10."""
    told = {"devices": [{"index": 0, "name": "NVIDIA GB10", "uuid": "GPU-1", "compute_capability": [12, 1],
                         "memory": {"error": "Not Supported"}, "processes": []}]}  # fmt: skip
    detected = replace(machine("128 GiB, 20 cores"), accelerators={"nvidia": parse({"nvml": json.dumps(told)})})
    (card,) = cards(detected)
    assert isinstance(card.memory_bytes, Unknown)
    made = plan(detected, Spec(model="gpt-oss-120b", engine="vllm"))
    assert made.verdict == "fits", made.binding


def test_several_models_share_such_a_memory_once() -> None:
    facts = machine("1x GB10, 64 GiB")
    made = plan(facts, Spec(models=("qwen3-8b", "qwen3-4b")))
    assert made.verdict == "fits", made.binding
    assert made.memory is not None
    assert all(one.free_bytes >= 0 for one in made.memory.per_device)
    assert sum(one.budget_bytes for one in made.memory.per_device) < 64 * GIB
