"""What Open WebUI is told. Every name stands in `open_webui/env.py` or `open_webui/config.py` of its release 0.12.4."""

from collections.abc import Mapping

KEPT = {
    "DATA_DIR": "/data",
    "ENABLE_PERSISTENT_CONFIG": "False",
    "BYPASS_MODEL_ACCESS_CONTROL": "True",
}
"""Its data lies outside the image's own folder, which carries models. Settings are those of this release and never those
of its database, and every user sees every model."""

CLOSED = {
    "ENABLE_SIGNUP": "False",
    "ENABLE_INITIAL_ADMIN_SIGNUP": "False",
    "DEFAULT_USER_ROLE": "pending",
    "ENABLE_API_KEYS": "False",
    "ENABLE_LDAP": "False",
    "ENABLE_SCIM": "False",
    "ENABLE_ADMIN_CHAT_ACCESS": "False",
    "ENABLE_ADMIN_EXPORT": "False",
    "WEBUI_SESSION_COOKIE_SECURE": "True",
    "WEBUI_AUTH_COOKIE_SECURE": "True",
    "WEBUI_SESSION_COOKIE_SAME_SITE": "strict",
    "WEBUI_AUTH_COOKIE_SAME_SITE": "strict",
}
"""Only the administrator makes accounts, and does not read what others write. API keys are the gateway's."""

OFF = {
    "ENABLE_PLUGINS": "False",
    "ENABLE_TOOLS": "False",
    # Its own tools go with each question otherwise, and an engine that was not told how its model calls tools refuses them.
    "DEFAULT_MODEL_PARAMS": '{"function_calling": "legacy"}',
    "ENABLE_FUNCTIONS": "False",
    "ENABLE_TOOL_SERVERS": "False",
    "ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS": "False",
    "ENABLE_KB_EXEC": "False",
    "ENABLE_CODE_EXECUTION": "False",
    "ENABLE_CODE_INTERPRETER": "False",
    "ENABLE_AUTOMATIONS": "False",
    "ENABLE_DIRECT_CONNECTIONS": "False",
    "ENABLE_DIRECT_INTEGRATIONS": "False",
    "ENABLE_OLLAMA_API": "False",
    "ENABLE_OPENAI_API_PASSTHROUGH": "False",
    "ENABLE_WEB_SEARCH": "False",
    "ENABLE_RAG_LOCAL_WEB_FETCH": "False",
    "ENABLE_IMAGE_GENERATION": "False",
    "ENABLE_IMAGE_EDIT": "False",
    "ENABLE_IMAGE_PROMPT_GENERATION": "False",
    "ENABLE_COMMUNITY_SHARING": "False",
    "ENABLE_EVALUATION_ARENA_MODELS": "False",
    "ENABLE_USER_WEBHOOKS": "False",
    "ENABLE_PROFILE_IMAGE_URL_FORWARDING": "False",
    "ENABLE_EASTER_EGGS": "False",
    "USER_PERMISSIONS_CHAT_WEB_UPLOAD": "False",
    "USER_PERMISSIONS_FEATURES_WEB_SEARCH": "False",
    "USER_PERMISSIONS_FEATURES_IMAGE_GENERATION": "False",
    "USER_PERMISSIONS_FEATURES_CODE_INTERPRETER": "False",
    "USER_PERMISSIONS_FEATURES_DIRECT_TOOL_SERVERS": "False",
    "USER_PERMISSIONS_FEATURES_AUTOMATIONS": "False",
}
"""What runs code, what fetches addresses, and what needs a service that is not in the stack."""

SPARING = {"ENABLE_TAGS_GENERATION": "False", "ENABLE_FOLLOW_UP_GENERATION": "False"}
"""Each of these asks the engine once more for every message; titles stay, once for each chat."""

OFFLINE = {
    "OFFLINE_MODE": "True",
    "HF_HUB_OFFLINE": "1",
    "ENABLE_VERSION_UPDATE_CHECK": "False",
    "RAG_EMBEDDING_MODEL_AUTO_UPDATE": "False",
    "RAG_RERANKING_MODEL_AUTO_UPDATE": "False",
    "WHISPER_MODEL_AUTO_UPDATE": "False",
    "ENABLE_OTEL": "False",
    "ANONYMIZED_TELEMETRY": "False",
    "SCARF_NO_ANALYTICS": "True",
    "DO_NOT_TRACK": "True",
}

DOCUMENTS = {
    "VECTOR_DB": "chroma",
    "RAG_EMBEDDING_ENGINE": "",
    "RAG_EMBEDDING_BATCH_SIZE": "32",
    "RAG_EMBEDDING_MODEL_TRUST_REMOTE_CODE": "False",
    "RAG_RERANKING_MODEL_TRUST_REMOTE_CODE": "False",
    "OMP_NUM_THREADS": "4",
    "TOKENIZERS_PARALLELISM": "False",
}
"""Documents are embedded in its own process, by a few threads: the cores are the engines'."""

PROCESS = {
    "ENV": "prod",
    "HOST": "0.0.0.0",  # noqa: S104 - of its container, which is published nowhere
    "PORT": "8080",
    "HOME": "/tmp",  # noqa: S108 - a folder in memory inside the container
    "STATIC_DIR": "/tmp/static",  # noqa: S108
    "GLOBAL_LOG_LEVEL": "WARNING",
}
"""It copies its static files at each start, which a read-only image would not take."""

FIXED: Mapping[str, str] = {**KEPT, **CLOSED, **OFF, **SPARING, **OFFLINE, **DOCUMENTS, **PROCESS}
