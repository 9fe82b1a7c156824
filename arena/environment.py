"""What a child process gets of the server's environment: never a secret that its command has no use for. Pure."""

import re
from collections.abc import Mapping, Sequence

SECRET_WORDS = frozenset({
    "TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASS", "CREDENTIAL", "CREDENTIALS", "KEY", "KEYS", "APIKEY", "PAT",
    "COOKIE", "SIGNATURE", "DSN",
})  # fmt: skip
"""words of a variable's name that tell a secret"""
OURS = re.compile(
    r"HF_TOKEN|HF_TOKEN_PATH|HUGGING_FACE_HUB_TOKEN|OPENAI_API_KEY|WANDB_API_KEY|TASTEBENCH_API_KEY\w*"
)
"""secrets that this program uses: for the hub, for models behind endpoints, for a tracker"""
USES_THEM = frozenset(
    {"generate", "judge", "rank", "campaign", "recipe", "train", "models", "import", "export", "merge"}
)
"""verbs that load or ask models, or speak to the hub"""


def is_secret(name: str) -> bool:
    """Whether a variable's name says that it holds a secret."""
    return bool(SECRET_WORDS & set(name.upper().split("_")))


def for_models(environ: Mapping[str, str]) -> dict[str, str]:
    """What a process gets that loads or asks models: of the secrets only those this program uses."""
    return {k: v for k, v in environ.items() if not is_secret(k) or OURS.fullmatch(k)}


def for_command(arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """What the process of a launch.py command gets."""
    if tuple(arguments[:1]) and arguments[0] in USES_THEM:
        return for_models(environ)
    return {k: v for k, v in environ.items() if not is_secret(k)}
