"""Training low-rank adapters on this machine: data, the base model, the loop, checkpoints and the adapter's file."""
