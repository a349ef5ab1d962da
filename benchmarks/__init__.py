"""Benchmarks of fastbp against its peers; run them with ``python -m benchmarks``."""
