"""Scripts that measure, each beside its peer or its limit in one run; docs/benchmarks.md has what they said."""
