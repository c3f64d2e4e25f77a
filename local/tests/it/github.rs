//! Contract tests of `local::github`.
