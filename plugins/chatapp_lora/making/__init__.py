"""How the adapters that come along were made and measured: `make adapters`. Not in the wheel."""
