"""The child process that talks to the hub: it can be ended in the middle of a name look-up, which no thread can."""

from __future__ import annotations

from collections.abc import Sequence

from chatapp import Job, ModelError


class Hub:
    """Looks at and downloads one repository ("owner/name") with `huggingface_hub`."""

    def start(self, job: Job) -> None:
        """Import the library, which takes a while on a cold disk and is no sign of a bad network."""
        import huggingface_hub  # noqa: F401

    def look(self, job: Job, repository: str, revision: str) -> tuple[str, list[tuple[str, int, str]]]:
        """The commit, and of every file its name, size in bytes and SHA-256 ("" for small ones)."""
        from huggingface_hub import HfApi, errors

        try:
            found = HfApi().model_info(repository, revision=revision, files_metadata=True)
        except errors.GatedRepoError as error:
            raise ModelError("it is gated: accept its licence on the hub, then log in with `hf auth login`") from error
        except errors.RepositoryNotFoundError as error:
            raise ModelError("there is no such repository, or it is private") from error
        except errors.RevisionNotFoundError as error:
            raise ModelError("it has no such revision") from error
        rows = [(each.rfilename, int(each.size or 0), each.lfs.sha256 if each.lfs else "") for each in found.siblings]
        return str(found.sha), rows

    def fetch(self, job: Job, repository: str, revision: str, names: Sequence[str], folder: str) -> None:
        """Download these files of that revision into `folder`, going on where an earlier attempt stopped."""
        from huggingface_hub import hf_hub_download

        for name in names:
            hf_hub_download(repository, name, revision=revision, local_dir=folder)
