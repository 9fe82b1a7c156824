"""The way to a private dataset on the hub: what it holds, files down, and a commit that nobody else's may cross."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import Conflict, UserError
from labeling.hub import TIMEOUT, check_push, failure

PRECONDITION_FAILED = 412


@dataclass(frozen=True, slots=True)
class Head:
    """The newest commit of a dataset, and what its manifest says; None where it has none yet."""

    commit: str
    manifest: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class HubStore:
    """A private dataset by its name (`owner/name`); address and token of the hub as the environment has them."""

    dataset: str
    endpoint: str | None = None
    token: str | None = None

    def head(self, manifest: str) -> Head:
        """What the dataset holds; made, private, where it is missing. UserError where it is public or out of reach."""
        from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

        if self.token is None:
            check_push(self.dataset)
        try:
            api = self._api()
            api.create_repo(self.dataset, repo_type="dataset", private=True, exist_ok=True)
            info = api.dataset_info(self.dataset, timeout=TIMEOUT)
            if not info.private:
                raise UserError(
                    f"the dataset {self.dataset} is public, so it can keep no home",
                    "make it private on its page",
                )
            commit = str(info.sha)
            if manifest not in {s.rfilename for s in info.siblings or ()}:
                return Head(commit, None)
            with tempfile.TemporaryDirectory() as folder:
                self._down(manifest, commit, Path(folder))
                return Head(commit, json.loads((Path(folder) / manifest).read_text(encoding="utf-8")))
        except (HTTPError, OSError) as error:
            raise failure(f"cannot read the dataset {self.dataset}", error) from None
        except ValueError:
            raise UserError(
                f"{manifest} of the dataset {self.dataset} cannot be read",
                "go back to an earlier commit of it",
            ) from None

    def fetch(self, files: Sequence[str], commit: str, folder: Path) -> None:
        """The files of a commit, under their paths in a folder; UserError."""
        from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

        try:
            for file in files:
                self._down(file, commit, folder)
        except (HTTPError, OSError) as error:
            raise failure(f"cannot get the home from the dataset {self.dataset}", error) from None

    def commit(
        self, add: Mapping[str, Path | bytes], remove: Sequence[str], parent: str, message: str
    ) -> str:
        """Send files and take others away in one commit on top of `parent`; its id.

        Conflict where the dataset is no longer at `parent`: somebody else has sent something, and nothing was changed.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

        operations = [
            *(CommitOperationAdd(path_in_repo=p, path_or_fileobj=c) for p, c in add.items()),
            *(CommitOperationDelete(path_in_repo=p) for p in remove),
        ]
        try:
            api = self._api()
            if not api.dataset_info(self.dataset, timeout=TIMEOUT).private:
                raise UserError(
                    f"the dataset {self.dataset} is public now, so nothing was sent", "make it private"
                )
            made = api.create_commit(self.dataset, operations, repo_type="dataset", commit_message=message,
                                     parent_commit=parent)  # fmt: skip
        except (HTTPError, OSError) as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code == PRECONDITION_FAILED:
                raise Conflict(
                    f"the dataset {self.dataset} holds something newer than this server knows, so nothing was sent",
                    "stop the other server that keeps its home there, then start this one again",
                ) from None
            raise failure(f"cannot send the home to the dataset {self.dataset}", error) from None
        return str(made.oid)

    def _api(self) -> Any:  # noqa: ANN401 - imported when it is used
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.token)

    def _down(self, file: str, commit: str, folder: Path) -> None:
        self._api().hf_hub_download(
            self.dataset, file, repo_type="dataset", revision=commit, local_dir=folder, force_download=True
        )
