//! The models of a message-queue migration: Corgi, Kafka, the mirror, the clients, the applications, the
//! switch centre, Redis, the deployment and the operator, each a machine that is stepped with one input and returns
//! plain effects; and the checkers that judge a history of what happened.
//!
//! Deliberately absent: clocks, random numbers, tasks, files, sockets. `cutover-sim` owns those.

pub mod application;
pub mod check;
pub mod client;
pub mod corgi;
pub mod deployment;
pub mod history;
pub mod hosts;
pub mod in_place;
pub mod incident;
pub mod kafka;
pub mod machine;
pub mod message;
pub mod mirror;
pub mod operator;
pub mod partition_map;
pub mod plan;
pub mod record;
pub mod redis;
pub mod report;
pub mod rewind;
mod small_set;
pub mod switch;
pub mod units;
