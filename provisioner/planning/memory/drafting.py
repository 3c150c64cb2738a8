"""What a drafter for speculative decoding adds beside the model: a layer of cache, and its own weights on every rank.

EAGLE drafters are one layer of the target's own shape behind a projection of two states into one; EAGLE-3 takes three states of
the target, feeds its attention two, and brings a small output head of its own (SafeAILab/EAGLE, model/cnets.py).
"""

from provisioner.model.catalog import Geometry
from provisioner.model.record import replace

WITHOUT_LAYERS = ("ngram", "suffix", "lookahead", "none", "off", "false", "no")
EAGLE3_VOCABULARY = 32000
HALF = 2


def layers(geometry: Geometry, method: str) -> int:
    """Of the drafter; MTP is as many as the model brings itself."""
    word = method.lower()
    if not word or word in WITHOUT_LAYERS:
        return 0
    return max(1, geometry.draft_layers) if "mtp" in word else 1


def with_drafter(geometry: Geometry, method: str) -> Geometry:
    """The shape as its cache sees it: the drafter's layers keep every token."""
    more = layers(geometry, method)
    return replace(geometry, layers=geometry.layers + more, kv_layers=geometry.kv_layers + more)


def weights_bytes(geometry: Geometry, method: str) -> int:
    """In 16 bits; embeddings and, but for EAGLE-3, the output head are the model's own."""
    more = layers(geometry, method)
    if not more:
        return 0
    wide = 2 if "eagle3" in method.lower().replace("-", "") else 1
    queries = geometry.heads * geometry.key_length + geometry.kv_heads * (geometry.key_length + geometry.value_length)
    attention = geometry.hidden * (wide * queries + geometry.heads * geometry.value_length)
    width = geometry.feed_forward or geometry.experts_used * geometry.expert_feed_forward
    projection = (wide + 1) * geometry.hidden**2
    head = geometry.hidden * EAGLE3_VOCABULARY if wide == 2 else 0
    return more * HALF * (attention + 3 * geometry.hidden * width + projection + head)
