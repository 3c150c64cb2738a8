"""What our start of LM Studio says when a step of it fails, and what llama.cpp in it writes."""

from provisioner.engines import _causes_llamacpp
from provisioner.model.causes import Cause

OWN = (
    Cause(
        "not-installed",
        r"LM Studio is not installed for this user",
        "there is no `lms` in the home of the user whose services these are",
        "curl -fsSL https://lmstudio.ai/install.sh | bash",
        "lmstudio: error: /root/.lmstudio/bin/lms is not there: LM Studio is not installed for this user",
        "our own start of it (engines/lmstudio.py)",
    ),
    Cause(
        "daemon-refused",
        r"`lms daemon up` failed|`lms daemon status` names no process|Failed to start or connect to local LM Studio API server",
        "its daemon does not start for this user",
        "`lms daemon up` by hand, as that user, tells why",
        "Failed to start or connect to local LM Studio API server.",
        "lmstudio-ai/lms@07b7252 src/createClient.ts",
    ),
    Cause(
        "model-unlisted",
        r"No model found with path being exactly|Model not found",
        "its daemon does not list the file that was linked for it: its folder of models is another one",
        "`lms ls` names the folder; set it back to the default, `~/.lmstudio/models`",
        'No model found with path being exactly "provision/qwen3-8b/qwen3-8b-q4_k_m.gguf".',
        "lmstudio-ai/lms@07b7252 src/subcommands/load.ts",
    ),
    Cause(
        "server-refused",
        r"Failed to verify the server is running",
        "its server does not listen where it was told to",
        "`--set port=` another port",
        "Failed to verify the server is running. Please try to use another port.",
        "lmstudio-ai/lms@07b7252 src/subcommands/server.ts",
    ),
)

CAUSES = (*OWN, *_causes_llamacpp.CAUSES)
