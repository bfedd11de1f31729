//! Corgi's requests and answers. Corgi's own documents are not public: the vocabulary is assumed, after its
//! nearest public relative (RocketMQ).

use serde::Serialize;

/// What a client, a broker or the on-call asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Request {
    /// Where the masters are.
    Route,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Response {
    /// To `Route`.
    Route,
}

impl Request {
    /// What kind of request it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Route => "corgi-route",
        }
    }
}

impl Response {
    /// What kind of answer it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Response::Route => "corgi-route-answer",
        }
    }
}
