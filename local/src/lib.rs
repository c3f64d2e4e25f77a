#![doc = include_str!("../README.md")]

pub mod apiserver;
pub mod github;
pub mod kubelet;
pub mod testing;
