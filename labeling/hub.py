"""The hub: rows of a dataset down, a dataset folder up. Every way it can fail is one clear line."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from db.errors import UserError

TIMEOUT = 15  # seconds for the one question that shows whether there is a hub at all


# HTTPError: of the HTTP client that huggingface_hub brings, whichever that is in its version


def dataset_rows(label: str) -> Iterator[Mapping[str, object]]:
    """Rows of `owner/name`, `owner/name:split` or `owner/name:config:split`, streamed.

    Without a split: train, else the first whose name begins so, else the first. UserError with what to do.
    """
    import datasets
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    name, *rest = label.split(":")
    config, split = (rest[0], rest[1]) if len(rest) == 2 else (None, rest[0] if rest else None)
    try:
        if not constants.HF_HUB_OFFLINE:  # load_dataset would try for half a minute
            HfApi().dataset_info(name, timeout=TIMEOUT)
        found = datasets.load_dataset(name, config, streaming=True)
        names = list(found)
        wanted = split or ("train" if "train" in names else _first(names))
        if wanted not in names:
            raise UserError(f"{name} has no split {wanted!r}", f"use one of: {', '.join(names)}")
        yield from found[wanted]
    except (HTTPError, OSError, datasets.exceptions.DatasetsError, ValueError) as error:
        raise failure(f"cannot get the dataset {name}", error) from None


def _first(names: list[str]) -> str:
    return next((n for n in names if n.startswith("train")), names[0])


def check_push(repo: str) -> None:
    """UserError where a push cannot succeed, known before anything is written: no token, no repository name."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if repo.startswith(("datasets/", "spaces/", "models/")):
        raise UserError(f"{repo!r} has the kind of repository before its name", "write owner/name alone")
    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise UserError(f"{repo!r} is not the name of a repository", "write it as owner/name") from None
    if not get_token():
        raise UserError(
            "no hub token is set, so nothing is pushed", "set HF_TOKEN or log in with `hf auth login`"
        )


def own_repo(name: str) -> str:
    """The repository of this name under the account that the token belongs to; UserError where that is not known."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    check_push(name)
    try:
        return f"{HfApi().whoami()['name']}/{name}"
    except (HTTPError, OSError) as error:
        raise failure("cannot ask the hub whose token this is", error) from None


def push_folder(folder: Path, repo: str, *, public: bool = False) -> str:
    """Upload a dataset folder to a dataset repository, made (private unless `public`) where missing; its address.

    UserError, with nothing sent, where the repository is there and public, and nobody said that it may be.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    api = HfApi()
    try:
        made = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        if not public and not api.dataset_info(made.repo_id, timeout=TIMEOUT).private:
            raise UserError(
                f"the dataset {repo} is public, so nothing was sent to it; the folder {folder} is written",
                "make the dataset private on its page, or push with --public",
            )
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, repo_type="dataset", delete_patterns=["data/*"],
                          commit_message="Dataset exported by Tastebench")  # fmt: skip
    except (HTTPError, OSError) as error:
        raise failure(f"cannot push to the dataset {repo}", error) from None
    return f"{api.endpoint}/datasets/{made.repo_id}"


def push_model(folder: Path, repo: str, *, public: bool = False) -> str:
    """Upload a model folder to a model repository, made (private unless `public`) where missing; its address.

    UserError, with nothing sent, where the name is that of a dataset, or the repository is public and nobody said that
    it may be.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    api = HfApi()
    try:
        if not api.repo_exists(repo) and api.repo_exists(repo, repo_type="dataset"):
            raise UserError(
                f"{repo} is a dataset on the hub, so no model was sent to it",
                "give the model a name of its own",
            )
        made = api.create_repo(repo, private=not public, exist_ok=True)
        if not public and not api.model_info(made.repo_id, timeout=TIMEOUT).private:
            raise UserError(
                f"the model repository {repo} is public, so nothing was sent to it",
                "make it private on its page, or push with --public",
            )
        api.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message="Model pushed by Tastebench"
        )
    except (HTTPError, OSError) as error:
        raise failure(f"cannot push to the model repository {repo}", error) from None
    return f"{api.endpoint}/{made.repo_id}"


def failure(what: str, error: Exception) -> UserError:
    """The one line for an error of the hub or the way to it."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[
        :160
    ]
    if isinstance(error, GatedRepoError):
        return UserError(
            f"{what}: access to it is granted by its owner", "ask for access on its page, then set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError):
        return UserError(
            f"{what}: the hub has no such repository, or hides it from you", "check the id and HF_TOKEN"
        )
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        status = error.response.status_code
        if status in (401, 403):
            return UserError(
                f"{what}: the hub refuses the token ({status})", "use a token that may write there"
            )
        return UserError(f"{what}: the hub answers {status}", "try again later")
    return UserError(f"{what} ({first})", "check the id and your network, or use a file instead")
