"""Outputs that were cut, mixed up or made up: devices that can be believed, or a refusal, and never anything else."""

from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.accelerators import amd, apple, ascend, hygon, intel, kunlun, metax
from provisioner.model.facts import Accelerator, Answers, AskAll, AskTools, CannotAsk, ReadFiles, Unknown
from provisioner.world.tree import MemoryTree, answer
from tests.machines import samples
from tests.machines.vendors import vendors

PRINTED = [text for name, text in vars(samples).items() if name.isupper() and isinstance(text, str)]
MACHINES = vendors()
HOME = {
    amd: ("mi300x8", "mi300x-cpx"), apple: ("apple-m4-max",), ascend: ("ascend-910c", "ascend-910b4x2"), hygon: ("k100-ai-x2",),
    intel: ("arc-b570",), kunlun: ("p800",), metax: ("c550x2",),
}  # fmt: skip
OTHER = st.sampled_from([
    "0", "-1", "9" * 26, "N/A", "{", "}", "[", "]", "|", "||", "\n", "\t", " / ", "MiB", "\x00", "１２", "²", "0000:", "XPU-RT Version",
    "card0", "HCU[0] :", "NPU0", "null", "1e999", '"', ":", ".", "",
]) | st.sampled_from(PRINTED).map(lambda text: text[:200])  # fmt: skip
Cut = tuple[int, int, str]
CUTS = st.lists(st.tuples(st.integers(0, 3000), st.sampled_from([0, 1, 3, 20, 200]), OTHER), max_size=3)


def mangled(text: str, cuts: list[Cut]) -> str:
    for at, length, other in cuts:
        at %= len(text) + 1
        text = text[:at] + other + text[at + length :]
    return text


def answers_of(module: ModuleType, name: str, cuts: list[Cut], foreign: dict[str, str]) -> Answers:
    """What the machine answers to this maker's question, with every text cut the same way, or another maker's in its place."""
    machine, found = MACHINES[name], dict[str, str | Unknown]()
    files, links, tools = machine["files"], machine["links"], machine["tools"]
    assert isinstance(files, dict)
    assert isinstance(links, dict)
    assert isinstance(tools, dict)
    question = module.VENDOR.probe.question
    for part in question.questions if isinstance(question, AskAll) else (question,):
        if isinstance(part, ReadFiles):
            texts = {
                path: mangled(str(text), cuts[:1]) if len(path) % 5 == 0 else str(text) for path, text in files.items()
            }
            found |= answer(MemoryTree(texts, {path: str(target) for path, target in links.items()}), part)
        elif isinstance(part, AskTools):
            own = {command: tools[command] for command in part.commands if isinstance(tools.get(command), str)}
            found |= {
                command: mangled(str(text), cuts)
                for command, text in (own | foreign).items()
                if command in part.commands
            }
    return found


@pytest.mark.parametrize("module", HOME, ids=lambda module: module.VENDOR.name)
def test_devices_can_be_believed(module: ModuleType) -> None:
    commands = [
        command
        for part in (module.VENDOR.probe.question, *getattr(module.VENDOR.probe.question, "questions", ()))
        if isinstance(part, AskTools)
        for command in part.commands
    ]

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(HOME[module]),
        CUTS,
        st.dictionaries(st.sampled_from(commands), st.sampled_from(PRINTED), max_size=1),
    )
    def attempt(name: str, cuts: list[Cut], foreign: dict[str, str]) -> None:
        try:
            found = module.parse(answers_of(module, name, cuts, foreign))
        except (ValueError, KeyError, CannotAsk):
            return
        believe(found)

    attempt()


def believe(found: tuple[Accelerator, ...]) -> None:
    assert len({each.index for each in found}) == len(found)
    for each in found:
        assert each.name
        assert isinstance(each.memory_bytes, Unknown) or 0 <= each.memory_bytes <= 1 << 50
        assert (
            isinstance(each.free_bytes, Unknown)
            or isinstance(each.memory_bytes, Unknown)
            or 0 <= each.free_bytes <= each.memory_bytes
        )


@pytest.mark.parametrize("module", HOME, ids=lambda module: module.VENDOR.name)
def test_what_is_whole_is_understood(module: ModuleType) -> None:
    for name in HOME[module]:
        believe(module.parse(answers_of(module, name, [], {})))
