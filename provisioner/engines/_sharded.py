"""What every engine that cuts a model over ranks demands of its shape: the rules of division, in the engines' own words."""

from collections.abc import Iterator

from provisioner.engines._constants import constant
from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees, Load
from provisioner.model.record import replace

VOCABULARY_STEP = 64

GROUPED = ("awq", "gptq", "w4a16", "gptq_int8")
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
"""Tensor-parallel sizes that a remedy may name."""


def cannot_divide(load: Load) -> Iterator[str]:
    """Every rule that the degrees break, with the degrees that would keep all of them."""
    for rule in broken_rules(load, load.degrees):
        yield f"{rule}; {_remedy(load)}"


def valid_tensors(load: Load, at_most: int = SIZES[-1]) -> tuple[int, ...]:
    """Tensor-parallel sizes that keep every rule, everything else left as it is."""
    cuts = (replace(load.degrees, tensor=size, decode_context=1) for size in SIZES if size <= at_most)
    return tuple(cut.tensor for cut in cuts if keeps_all_rules(load, cut))


def keeps_all_rules(load: Load, degrees: Degrees) -> bool:
    return next(broken_rules(load, degrees), None) is None


def _remedy(load: Load) -> str:
    """Sizes up to twice the one that was asked for; experts kept whole where that alone would do."""
    sizes = [str(size) for size in valid_tensors(load, 2 * load.degrees.tensor)]
    remedies = [f"take tensor parallel {', '.join(sizes[:-1])} or {sizes[-1]}" if len(sizes) > 1 else "take one device"]
    whole = replace(load.degrees, expert=True)
    if load.geometry.experts and not load.degrees.expert and keeps_all_rules(load, whole):
        remedies.append("keep the experts whole (expert parallel)")
    return ", or ".join(remedies)


def broken_rules(load: Load, degrees: Degrees) -> Iterator[str]:
    geometry = load.geometry
    yield from _heads(geometry, degrees)
    if not constant(load, "every_class_replicates").value:
        yield from _heads_of_class(geometry, degrees)
    yield from _columns(geometry, degrees)
    yield from _decode_context(geometry, degrees)
    if load.precision == "fp8_block128":
        steps = (int(constant(load, name).value) for name in ("fp8_expert_step", "fp8_block_step"))
        yield from _fp8_blocks(geometry, degrees, *steps)
    elif load.precision in GROUPED:
        yield from _grouped(geometry, degrees, load.group, int(constant(load, "grouped_step").value))


def _heads(geometry: Geometry, degrees: Degrees) -> Iterator[str]:
    tensor, kv_heads = degrees.tensor, geometry.kv_heads
    if geometry.heads % tensor:
        yield (
            f"Total number of attention heads ({geometry.heads}) must be divisible by tensor parallel size ({tensor})"
        )
    if geometry.kv_lora_rank or not kv_heads:
        return
    if kv_heads % tensor and tensor % kv_heads:
        yield f"{kv_heads} key-value heads can neither be divided by tensor parallel size {tensor} nor be replicated evenly"


def _heads_of_class(geometry: Geometry, degrees: Degrees) -> Iterator[str]:
    if geometry.unreplicated_heads and 0 < geometry.kv_heads < degrees.tensor:
        yield (
            f"{geometry.kv_heads} key-value heads are fewer than tensor parallel size {degrees.tensor}, and this "
            "model's class replicates none (ZeroDivisionError at its start)"
        )


def _columns(geometry: Geometry, degrees: Degrees) -> Iterator[str]:
    tensor = degrees.tensor
    padded = -(-geometry.vocab // VOCABULARY_STEP) * VOCABULARY_STEP
    for what, size in (("the vocabulary", padded), ("the feed-forward width", geometry.feed_forward)):
        if size % tensor:
            yield f"{what} ({size}) is not divisible by tensor parallel size {tensor}"
    if geometry.experts and not degrees.expert and geometry.expert_feed_forward % tensor:
        width = geometry.expert_feed_forward
        yield f"the experts' width ({width}) is not divisible by tensor parallel size {tensor}"


def _decode_context(geometry: Geometry, degrees: Degrees) -> Iterator[str]:
    tensor, context = degrees.tensor, degrees.decode_context
    if context == 1:
        return
    if tensor % context:
        yield f"tensor parallel size {tensor} must be divisible by decode context parallel size {context}"
    elif not geometry.kv_lora_rank and context > max(1, tensor // max(1, geometry.kv_heads)):
        yield (
            f"decode context parallel size {context} needs as many copies of the key-value heads, and tensor parallel "
            f"size {tensor} over {geometry.kv_heads} of them makes {max(1, tensor // max(1, geometry.kv_heads))}"
        )


def _fp8_blocks(geometry: Geometry, degrees: Degrees, expert_step: int, block_step: int) -> Iterator[str]:
    """One scale for a block of 128 x 128 values: a shard must not cut through a block."""
    tensor = degrees.tensor
    if geometry.experts and not degrees.expert and geometry.expert_feed_forward // tensor % expert_step:
        shard = geometry.expert_feed_forward // tensor
        yield (
            f"the output_size of gate's and up's weight = {shard} is not divisible by weight quantization "
            f"block_n = {expert_step}"
        )
    dense = geometry.feed_forward if not geometry.experts or geometry.dense_layers else 0
    if tensor > 1 and dense // tensor % block_step:
        yield (
            f"Weight output_partition_size = {dense // tensor} is not divisible by weight quantization "
            f"block_n = {block_step}"
        )


def _grouped(geometry: Geometry, degrees: Degrees, group: int, step: int) -> Iterator[str]:
    """Values that share a scale must lie on one rank, and some kernels take inputs in steps of their own."""
    tensor = degrees.tensor
    widths = [("down projection", geometry.feed_forward if not geometry.experts or geometry.dense_layers else 0)]
    widths.append(("attention output", geometry.heads * geometry.value_length))
    if geometry.experts and not degrees.expert:
        widths.append(("experts' down projection", geometry.expert_feed_forward))
    for what, width in widths if tensor > 1 else ():
        told = f"Weight input_size_per_partition = {width // tensor} of the {what} is not divisible by"
        if group and width // tensor % group:
            yield f"{told} the group of {group} values that share a scale"
        elif width // tensor % step:
            yield f"{told} min_thread_k = {step}"
