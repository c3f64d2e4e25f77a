//! Contract tests of the GitHub stand-in, with the machine's git, an HTTP client, and GitHub's own
//! schemas.

mod access;
mod apps;
mod checks;
mod client;
mod comments;
mod git;
mod http;
mod pages;
mod persistence;
mod pulls;
mod reads;
mod receiver;
mod schema;
mod webhooks;
mod world;
