"""Models by the names that people, hubs and published cases give them; a wrong match is worse than none."""

import pytest

from provisioner.errors import BadInput
from provisioner.model.spec import Spec
from provisioner.planning.asked.names import find_model, lookup, of_catalog, precision_of, published
from tests.unit.planning.samples import CATALOG, plan

WRITTEN = (
    ("Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b-instruct", "awq"),
    ("Qwen3-14B", "qwen3-14b", None),
    ("Qwen3-14B-AWQ", "qwen3-14b", "awq"),
    ("Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder-30b-a3b-instruct", None),
    ("Qwen3-4B-Instruct-2507", "qwen3-4b-instruct-2507", None),
    ("Qwen3-4B-Instruct-2507-FP8", "qwen3-4b-instruct-2507", "fp8_block128"),
    ("MiniMax-M2.1-FP8-INT4-AWQ", "minimax-m2.1", "int4_fp8"),
    ("Mistral-7B-Instruct-v0.2-GPTQ", "mistral-7b-instruct-v0.2", "gptq"),
    ("ibm-granite/granite-4.0-micro", "granite-4.0-micro", None),
    ("Llama-3.1-8B-Instruct + EAGLE draft", "llama-3.1-8b-instruct", None),
    ("Qwen3-30B-A3B", "qwen3-30b-a3b", None),
    ("Qwen3-32B", "qwen3-32b", None),
    ("gpt-oss-20b", "gpt-oss-20b", None),
    ("Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b-instruct", "fp8"),
    ("Qwen3-235B-A22B-FP8", "qwen3-235b-a22b", "fp8_block128"),
    ("DeepSeek-R1-Distill-Llama-70B", "deepseek-r1-distill-llama-70b", None),
    ("Llama-3-8B", "llama-3-8b-instruct", None),
    ("Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct", None),
    ("Llama-3.1-70B-w8a8", "llama-3.1-70b-instruct", "int8"),
    ("gpt-oss-120b", "gpt-oss-120b", None),
    ("Qwen2.5-32B-Instruct-AWQ", "qwen2.5-32b-instruct", "awq"),
    ("RedHatAI/Qwen3-32B-quantized.w4a16", "qwen3-32b", "w4a16"),
    ("Qwen3-32B + EAGLE-3", "qwen3-32b", None),
    ("DeepSeek-R1-Distill-Qwen-14B", "deepseek-r1-distill-qwen-14b", None),
    ("12-head Qwen2-class model (1.5B)", "qwen2.5-1.5b-instruct", None),
    ("Qwen3-30B-A3B-FP8", "qwen3-30b-a3b", "fp8_block128"),
    ("DeepSeek-V4-Pro FP8", "deepseek-v4-pro", "fp8_block128"),
    ("Qwen3-235B-A22B-GPTQ-Int4", "qwen3-235b-a22b", "gptq"),
    ("Qwen3.8-2.4T-A95B (64 heads)", "qwen3.8-2.4t-a95b", None),
    ("DeepSeek-R1", "deepseek-r1", None),
    ("DeepSeek-R1-0528-AWQ", "deepseek-r1", "awq"),
    ("DeepSeek-V3/R1-AWQ", "deepseek-r1", "awq"),
    ("DeepSeek-V2-Lite", "deepseek-v2-lite", None),
    ("DeepSeek-V2-Lite-Chat", "deepseek-v2-lite", None),
    ("DeepSeek-Coder-V2-Instruct 236B", "deepseek-coder-v2", None),
    ("DeepSeek-V2", "deepseek-v2", None),
    ("DeepSeek-V3.2", "deepseek-v3.2", None),
    ("Kimi-K2-Thinking", "kimi-k2-thinking", None),
    ("DeepSeek-V4-Flash-0731", "deepseek-v4-flash", None),
    ("Qwen3.8-27B-FP8", "qwen3.8-27b", "fp8_block128"),
    ("Qwen3.8-27B-NVFP4", "qwen3.8-27b", "nvfp4"),
    ("Qwen3.8-27B (23 GB quant)", "qwen3.8-27b", None),
    ("Llama-3.3-70B-Instruct", "llama-3.3-70b-instruct", None),
    ("DeepSeek-R1-Distill-Qwen-7B", "deepseek-r1-distill-qwen-7b", None),
    ("DeepSeek-R1 671B (low-cost)", "deepseek-r1", None),
    ("DeepSeek-R1 Q4_K_M", "deepseek-r1", "q4_k_m"),
    ("DeepSeek-R1 distill 32B / 70B", "deepseek-r1-distill-qwen-32b", None),
    ("Qwen3-235B-A22B-2507", "qwen3-235b-a22b-instruct-2507", None),
    ("DeepSeek-R1-0528", "deepseek-r1", None),
    ("GLM-4.6-FP8", "glm-4.6", "fp8"),
    ("GLM-4.5-Air", "glm-4.5-air", None),
    ("Qwen2.5-7B-Instruct", "qwen2.5-7b-instruct", None),
    ("DeepSeek-R1-0528 FP8", "deepseek-r1", "fp8_block128"),
    ("Qwen3-235B-A22B", "qwen3-235b-a22b", None),
    ("DeepSeek-R1-Distill-Qwen-32B", "deepseek-r1-distill-qwen-32b", None),
    ("DeepSeek-R1-Channel-FP8-w8a8", "deepseek-r1", "fp8"),
    ("7B", "deepseek-r1-distill-qwen-7b", None),
    ("32B", "deepseek-r1-distill-qwen-32b", None),
    ("671B", "deepseek-r1", None),
    ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b-instruct", "awq"),
    ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1", None),
    ("R1 671B", "deepseek-r1", None),
    ("qwen 2.5 7b instruct", "qwen2.5-7b-instruct", None),
    ("QWEN3_32B", "qwen3-32b", None),
    ("llama3.1:8b", "llama-3.1-8b-instruct", None),
    ("deepseek-r1:7b", "deepseek-r1-distill-qwen-7b", None),
    ("meta-llama/Meta-Llama-3.1-70B-Instruct", "llama-3.1-70b-instruct", None),
    ("Meta Llama 3.1 70B Instruct", "llama-3.1-70b-instruct", None),
    ("unsloth/Llama-3.3-70B-Instruct-bnb-4bit", "llama-3.3-70b-instruct", "bnb"),
    ("Qwen3 235B", "qwen3-235b-a22b", None),
    ("R1-Distill-Llama-70B", "deepseek-r1-distill-llama-70b", None),
    ("google/gemma-3-27b-it", "gemma-3-27b-it", None),
    ("Mixtral 8x7B Instruct v0.1", "mixtral-8x7b-instruct", None),
    ("Qwen3-32B-Q4_K_M.gguf", "qwen3-32b", "q4_k_m"),
    ("unsloth/DeepSeek-R1-GGUF UD-Q2_K_XL", "deepseek-r1", "ud_q2_k_xl"),
    ("Qwen2.5-72B-Instruct-GPTQ-Int8", "qwen2.5-72b-instruct", "gptq_int8"),
    ("zai-org/GLM-4.6-FP8", "glm-4.6", "fp8"),
    ("nvidia/DeepSeek-R1-FP4", "deepseek-r1", "nvfp4"),
    ("gemma-3-27b-it-qat", "gemma-3-27b-it", None),
    ("DeepSeek R1 distilled Qwen 14B", "deepseek-r1-distill-qwen-14b", None),
    ("Llama-4-Maverick-17B-128E-Instruct-FP8", "llama-4-maverick", "fp8"),
    ("Qwen3-Next-80B-A3B-Instruct-FP8", "qwen3-next-80b-a3b", "fp8_block128"),
    ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "llama-3.1-70b-instruct", "awq"),
    ("casperhansen/deepseek-r1-distill-llama-70b-awq", "deepseek-r1-distill-llama-70b", "awq"),
)

NOT_KNOWN = (
    "several",
    "",
    "Qwen",
    "Llama",
    "70B-Instruct",
    "Qwen3-7B",
    "Qwen2.5-14B-A3B",
    "Qwen3-Coder-32B",
    "Qwen3-VL-14B",
    "DeepSeek-R1-Distill-Qwen-70B",
    "DeepSeek-R1-Distill-Llama-32B",
    "DeepSeek-V2-Lite-236B",
    "DeepSeek-V5",
    "Mistral-7B-v0.4",
    "Mistral-Large",
    "Mixtral-8x70B",
    "Llama-3.5-70B",
    "Llama-3.1-7B",
    "gpt-oss-20",
    "gpt-4",
    "GLM-4.5-Flash",
    "Kimi-K1.5",
    "Qwen3-30B-A22B",
    "Qwen3-235B-A3B",
    "Qwen3-Next-32B",
    "Qwen2.5-Math-14B",
    "MiniMax-M9",
    "gemma-3-7b-it",
    "Phi-4-mini-14B",
    "granite-4.0-h-micro",
    "Phi",
    "GLM-9B",
    "Llama-Scout",
    "Gemma 4 27B",
)


@pytest.mark.parametrize(("text", "name", "precision"), WRITTEN)
def test_a_name_as_it_is_written(text: str, name: str, precision: str | None) -> None:
    found = find_model(CATALOG, text)
    assert (found.entry.id, found.precision) == (name, precision)


@pytest.mark.parametrize("text", NOT_KNOWN)
def test_a_name_that_could_be_taken_for_another_is_none(text: str) -> None:
    assert lookup(CATALOG, text) is None


@pytest.mark.parametrize("name", sorted(CATALOG.models))
def test_every_name_of_an_entry_leads_to_it(name: str) -> None:
    entry = CATALOG.model(name)
    tags = () if entry.ollama is None else (entry.ollama.tag,)
    for text in (name, name.upper(), *entry.aliases, *entry.repositories.values(), *tags):
        assert find_model(CATALOG, text).entry.id == name, text


@pytest.mark.parametrize("name", sorted(CATALOG.models))
def test_every_repository_of_a_checkpoint_says_its_precision(name: str) -> None:
    entry = CATALOG.model(name)
    for one in entry.checkpoints:
        for repository in one.repositories.values():
            if repository not in entry.repositories.values():
                found = find_model(CATALOG, repository)
                assert (found.entry.id, found.precision) == (name, one.precision), repository


def test_an_alias_says_that_other_weights_may_be_meant() -> None:
    assert find_model(CATALOG, "deepseek-ai/DeepSeek-R1-0528").alias == "deepseek-ai/DeepSeek-R1-0528"
    assert find_model(CATALOG, "deepseek-ai/DeepSeek-R1").alias == ""


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="unknown model `qwen3-33b`") as caught:
        find_model(CATALOG, "qwen3-33b")
    assert "`qwen3-32b`" in caught.value.fix
    with pytest.raises(BadInput) as caught:
        find_model(CATALOG, "???")
    assert "the folder that its files are in" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("awq-int4", "awq"), ("bf16", "bf16"), ("fp16", "fp16"), ("fp16 (implied)", "fp16"), ("fp8-block128", "fp8_block128"),
        ("fp8_e4m3 weights, block 128x128", "fp8_block128"), ("fp8", "fp8"), ("fp8 online", "fp8"), ("fp8 (Marlin)", "fp8"),
        ("int8 w8a8", "int8"), ("mixed fp8/int4 (~140 GB)", "int4_fp8"), ("fp4+fp8", "mxfp4_fp8"), ("w4a16", "w4a16"),
        ("int4 W4A16", "w4a16"), ("gptq-int4", "gptq"), ("gptq", "gptq"), ("mxfp4", "mxfp4"), ("nvfp4", "nvfp4"),
        ("4-bit", "int4"), ("gguf Q4_K_M", "q4_k_m"), ("UD-IQ1_S", "ud_iq1_s"), ("Q8_0", "q8_0"), ("Q6_K", "q6_k"),
        ("gguf", None), ("kt hybrid", None), ("", None), ("Qwen3-8B", None),
    ],
)  # fmt: skip
def test_words_for_a_precision(text: str, precision: str | None) -> None:
    assert precision_of(text) == precision


@pytest.mark.parametrize(
    ("name", "word", "meant"),
    [
        ("deepseek-r1", "fp8", "fp8_block128"),
        ("glm-4.6", "fp8", "fp8"),
        ("llama-3.3-70b-instruct", "fp8_block128", "fp8"),
        ("kimi-k2-thinking", "w4a16", "int4"),
        ("qwen2.5-7b-instruct", "int4", "awq"),
        ("llama-2-70b", "nvfp4", "nvfp4"),
    ],
)
def test_a_word_means_what_the_makers_publish_under_it(name: str, word: str, meant: str) -> None:
    assert published(CATALOG.model(name), word) == meant


@pytest.mark.parametrize("engine", [None, "llamacpp"])
def test_a_repository_of_gguf_files_is_planned_from_its_own_files(engine: str | None) -> None:
    made = plan("1x H200, 512 GiB", Spec(model="unsloth/DeepSeek-R1-GGUF", engine=engine))
    assert made.model is not None
    assert made.model.format == "gguf"
    assert {file.origin.rpartition("/")[0] for file in made.model.files} == {"hub:huggingface/unsloth/DeepSeek-R1-GGUF"}
    tried = next(one for one in made.decisions if one.subject == "precision and context").rejected
    assert not [one for one in tried if one.option.startswith(("vLLM: fp8", "SGLang: fp8", "vLLM: bf16"))]


def test_an_engine_that_loads_no_gguf_is_refused_for_such_a_repository_with_one_that_does() -> None:
    made = plan("1x RTX 4090", Spec(model="ggml-org/gpt-oss-20b-GGUF", engine="vllm"))
    assert made.verdict == "refused"
    assert "holds GGUF files" in made.binding
    assert ("--engine", "llamacpp") in [one.flags for one in made.cheapest_changes]


def test_a_precision_that_such_a_repository_does_not_hold_is_told_with_those_that_it_does() -> None:
    with pytest.raises(BadInput, match=r"holds q8_0, q4_k_m, ud_q2_k_xl, .* and not fp8"):
        plan("1x H200", Spec(model="unsloth/DeepSeek-R1-GGUF", precision="fp8"))


def test_a_repository_of_gguf_files_that_the_catalog_does_not_know_is_for_its_hub_to_tell() -> None:
    assert of_catalog(CATALOG, "somebody/Qwen3-8B-GGUF") is None
    assert of_catalog(CATALOG, "Qwen/Qwen3-8B-GGUF") is not None
    named = of_catalog(CATALOG, "qwen3-8b-gguf")
    assert named is not None
    assert named.offers == ("q8_0", "q6_k", "q5_k_m", "q4_k_m")
