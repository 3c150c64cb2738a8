"""What images ask of the driver, by the environment that their makers gave them."""

import json
from collections.abc import Mapping

from provisioner.model.facts import Answers, AskDocker, Fact, Unknown
from provisioner.model.upkeep import ImageNeed


def needs(images: tuple[str, ...]) -> Fact[Mapping[str, ImageNeed]]:
    """Of these images, as far as they are on the machine."""
    paths = {f"/images/{image}/json": image for image in images}

    def parse(answers: Answers) -> Mapping[str, ImageNeed]:
        there = {paths[path]: answer for path, answer in answers.items() if not isinstance(answer, Unknown)}
        return {image: _need(answer) for image, answer in there.items()}

    return Fact("image_cuda", AskDocker(tuple(paths)), parse, absent={})


def _need(answer: str) -> ImageNeed:
    """`Config.Env` holds lines `NAME=value`."""
    body = json.loads(answer)
    config = body.get("Config") if isinstance(body, dict) else None
    lines = config.get("Env") if isinstance(config, dict) else None
    environment = dict(str(line).partition("=")[::2] for line in lines) if isinstance(lines, list) else {}
    return ImageNeed(environment.get("CUDA_VERSION") or None, environment.get("NVIDIA_REQUIRE_CUDA") or None)
