"""The demo's own data and run."""
