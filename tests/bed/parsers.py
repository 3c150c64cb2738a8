"""What the engines' own parsers, and vLLM's own configuration, make of an argv; runs in vLLM's environment."""

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import Any

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.entrypoints.launchers import launcher
from vllm.reasoning import ReasoningParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser


def parse_vllm(argv: list[str]) -> argparse.Namespace:
    """With a template of its own in place of one that lies in its image, since it looks whether that is there."""
    argv = [TEMPLATE if word.startswith("/vllm-workspace/examples/") else word for word in argv]
    parser = FlexibleArgumentParser()
    command = ServeSubcommand()
    command.subparser_init(parser.add_subparsers(dest="subparser"))
    found: argparse.Namespace = parser.parse_args(["serve", *argv])
    command.validate(found)
    launcher.validate_api_server_args(found)
    if found.reasoning_parser:
        ReasoningParserManager.get_reasoning_parser(found.reasoning_parser)
    return found


def placed(argv: list[str], folder: str) -> dict[str, Any]:
    """Where vLLM's own configuration places the node that is started with this argv, with a model of this folder."""
    found = parse_vllm([folder, *argv])
    found.model = folder
    asked = AsyncEngineArgs.from_cli_args(found)
    # Its parser would ask for a tokenizer, of which there is none in a folder with a configuration alone.
    asked.skip_tokenizer_init, asked.reasoning_parser = True, ""
    whole = asked.create_engine_config(headless=found.headless).parallel_config
    return {
        "groups": whole.data_parallel_size,
        "here": whole.data_parallel_size_local,
        "first": whole.data_parallel_rank,
        "meets": whole.data_parallel_master_ip,
        "within": whole.node_rank_within_dp,
        "experts whole": whole.enable_expert_parallel,
    }


def parse_sglang(argv: list[str]) -> argparse.Namespace:
    sys.path.insert(0, f"{sys.prefix}/sglang")
    server_args = importlib.import_module("sglang.srt.server_args")
    parser = argparse.ArgumentParser()
    server_args.ServerArgs.add_cli_args(parser)
    return parser.parse_args(argv)


def parse_transformers(argv: list[str]) -> argparse.Namespace:
    from transformers.cli.transformers import app

    return argparse.Namespace(**app.commands["serve"].make_context("serve", list(argv)).params)


TEMPLATE = "{{ messages }}"

PARSERS: dict[str, Callable[[list[str]], argparse.Namespace]] = {
    "vllm": parse_vllm, "sglang": parse_sglang, "ktransformers": parse_sglang, "transformers": parse_transformers,
}  # fmt: skip
