"""The child process that talks to the hub: it can be ended in the middle of a name look-up, which no thread can."""

from __future__ import annotations

from collections.abc import Sequence

from chatapp import Job


class Hub:
    """Downloads files of one repository ("owner/name") with `huggingface_hub`."""

    def start(self, job: Job) -> None:
        """Import the library, which takes a while on a cold disk and is no sign of a bad network."""
        import huggingface_hub  # noqa: F401

    def look(self, job: Job, repository: str, revision: str, name: str) -> int | None:
        """The size of one file in bytes, as the hub states it: the shortest question there is."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        size: int | None = get_hf_file_metadata(hf_hub_url(repository, name, revision=revision)).size
        return size

    def fetch(self, job: Job, repository: str, revision: str, names: Sequence[str], folder: str) -> None:
        """Download these files of that revision into `folder`."""
        from huggingface_hub import hf_hub_download

        for name in names:
            hf_hub_download(repository, name, revision=revision, local_dir=folder)
