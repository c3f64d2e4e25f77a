#![doc = include_str!("../README.md")]

pub mod causes;
pub mod config;
pub mod cron;
pub mod db;
pub mod digest;
pub mod duration;
pub mod expansion;
pub mod github;
pub mod installation;
pub mod kube;
pub mod prowjob;
pub mod service;
pub mod storage;
pub mod template;
