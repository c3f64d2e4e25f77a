//! Contract tests of `local::apiserver`.
