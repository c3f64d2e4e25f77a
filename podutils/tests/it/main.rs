//! The pod utilities on real files, real git repositories and a real bucket (a folder).

mod clonerefs;
mod initupload;
mod sidecar;
mod support;
