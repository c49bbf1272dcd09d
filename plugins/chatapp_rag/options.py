"""The documents plugin's settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RagSettings(BaseModel):
    """Answers from your documents."""

    model_config = ConfigDict(extra="forbid")

    uri: str = Field(
        "", description="Where the index is: a folder, `s3://bucket/path`, or a LanceDB server's `db://name`; empty is "
        "a private folder of yours."
    )  # fmt: skip
    storage_options: dict[str, str] = Field(
        default_factory=dict,
        description="What an `s3://` index needs (`endpoint`, `region`); keys come from the environment "
        "(`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`).",
    )
    key_variable: str = Field(
        "LANCEDB_API_KEY", description="The environment variable with the key of a `db://` server."
    )
    host: str = Field("", description="The address of a LanceDB server of your own, for `db://`.")
    collection: str = Field("documents", description="The collection meant where none is named.")
    default: str = Field("", description="A collection that is on in every new conversation; empty is none.")
    budget: int = Field(1000, ge=100, le=100_000, description="How much of the prompt passages may fill, in tokens.")
    passages: int = Field(6, ge=1, le=50, description="The most passages given to one question.")
    vectors: float | None = Field(
        None, ge=0, le=1, description="The share of meaning, against words, in the ranking of passages; empty is what "
        "was measured best for the embedding model and the language."
    )  # fmt: skip
    relevant_from: float | None = Field(
        None, ge=-1, le=1, description="Passages count as relevant from this cosine similarity on; empty is what was "
        "calibrated for the embedding model."
    )  # fmt: skip
    rerank: bool = Field(False, description="Order passages anew with a cross-encoder: better and slower.")
    rewrite: bool = Field(
        True, description="Let the chat model make follow-up questions self-contained before the search."
    )
    exact_up_to: int = Field(
        200_000, ge=0, description="Up to so many chunks every vector is compared; above, an index is built and its "
        "recall measured."
    )  # fmt: skip
    largest: int = Field(50_000_000, ge=1, description="Files larger than this many bytes are left out.")
