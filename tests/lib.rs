//! Property, scenario, determinism and command-line tests live in `tests/`.
