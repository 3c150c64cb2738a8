"""What a smaller precision does to answers, as far as somebody measured it: words for a remedy, each with its source."""

from provisioner.model.record import dataclass

KURTIC = "arXiv:2411.02355, Llama 3.1"
"""500,000 evaluations of Llama 3.1 in 8B, 70B and 405B: FP8 without loss, INT8 1 to 3 % worse, 4-bit weights as good as INT8."""
GAESSLER = "llama.cpp #6936, Llama 3 8B"
"""Perplexity against F16: Q8_0 1.0004, Q6_K 1.0035, Q4_K_M 1.028 and Q2_K 1.565 times as high."""
SCORECHART = "llama.cpp examples/perplexity, Llama 2 70B"
"""Perplexity against F16: Q5_K_M 0.4 % higher, Q4_K_M 1.2 %."""
UNSLOTH = "unsloth.ai/blog/deepseekr1-dynamic, DeepSeek-R1"
"""The publisher's own words for 1.58, 1.73, 2.22 and 2.51 bits: fair, good, better, best of these."""


@dataclass(frozen=True, slots=True)
class Measured:
    words: str
    source: str


SAME = "answers as good as in 16 bits"
PRECISIONS = {
    "fp8": Measured(SAME, KURTIC),
    "fp8_block128": Measured(SAME, KURTIC),
    "int8": Measured("answers 1 to 3 % worse than in 16 bits", KURTIC),
    "w4a16": Measured("answers a little worse than in 16 bits, as good as INT8", KURTIC),
    "gptq": Measured("answers a little worse than in 16 bits, as good as INT8", KURTIC),
    "q8_0": Measured(SAME, GAESSLER),
    "q6_k": Measured("answers nearly as good as in 16 bits", GAESSLER),
    "q5_k_m": Measured("answers nearly as good as in 16 bits", SCORECHART),
    "q4_k_m": Measured("answers a little worse than in 16 bits", GAESSLER),
    "q2_k": Measured("answers clearly worse", GAESSLER),
    "ud_iq1_s": Measured("answers clearly worse: its publisher calls them fair", UNSLOTH),
    "ud_iq1_m": Measured("answers clearly worse: its publisher calls them good, for so few bits", UNSLOTH),
    "ud_iq2_xxs": Measured("answers worse: the second best of its publisher's smallest four", UNSLOTH),
    "ud_q2_k_xl": Measured("answers worse: the best of its publisher's smallest four", UNSLOTH),
}
UNMEASURED = "fewer bits for each weight: see whether the answers still serve"


def answers_in(precision: str) -> str:
    """What is known of answers in this precision, with who measured it."""
    found = PRECISIONS.get(precision)
    return f"{found.words} ({found.source})" if found else UNMEASURED
