//! Where the brokers listen, and which of them to ask.

use super::wire::{ask, text};
use super::{Live, LiveError};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A broker that accepts a connection and then says nothing is left after so long.
const PROBE: Duration = Duration::from_millis(800);
const ANSWER: Duration = Duration::from_secs(45);
const COORDINATOR: Duration = Duration::from_secs(20);

/// What a coordinator is asked for.
#[derive(Clone, Copy)]
pub enum Key<'a> {
    /// A group's real name.
    Group(&'a str),
    /// A transactional id.
    Transaction(&'a str),
}

impl Key<'_> {
    /// The name and the number of its kind in the protocol.
    pub fn parts(&self) -> (&str, i8) {
        match self {
            Key::Group(name) => (name, 0),
            Key::Transaction(name) => (name, 1),
        }
    }
}

/// The brokers, as far as a client knows them.
#[derive(Clone)]
pub struct Brokers {
    ports: BTreeMap<i64, u16>,
    /// Those that are dead or frozen: probing them is a waste of time.
    pub silent: BTreeSet<i64>,
    /// So long an answer is awaited.
    pub patience: Duration,
}

/// Run a question on a thread of its own: a frozen broker accepts the connection and never answers.
fn patiently<T: Send + 'static>(question: impl FnOnce() -> Live<T> + Send + 'static) -> Live<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // The asker may have lost patience.
        let _ = sender.send(question());
    });
    receiver.recv_timeout(PROBE).unwrap_or_else(|_| Err(LiveError::Silent("a probe".to_owned())))
}

impl Brokers {
    pub fn new(ports: BTreeMap<i64, u16>) -> Brokers {
        Brokers { ports, silent: BTreeSet::new(), patience: ANSWER }
    }

    /// Where a broker listens.
    pub fn port(&self, broker: i64) -> Live<u16> {
        self.ports.get(&broker).copied().ok_or_else(|| LiveError::Script(format!("no broker {broker}")))
    }

    /// The ports of those that may answer.
    fn probed(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().filter(|(broker, _)| !self.silent.contains(broker)).map(|(_, port)| *port)
    }

    /// The metadata of a topic, or of none, from that broker or from the first that answers.
    pub fn view(&self, topic: Option<&str>, from: Option<i64>) -> Live<MetadataResponse> {
        let named = |name: &str| vec![MetadataRequestTopic::default().with_name(Some(TopicName(text(name))))];
        let request = MetadataRequest::default()
            .with_topics(Some(topic.map(named).unwrap_or_default()))
            .with_allow_auto_topic_creation(false);
        if let Some(broker) = from {
            return ask(self.port(broker)?, 9, "probe", self.patience, &request);
        }
        let mut last = LiveError::Silent("every broker".to_owned());
        for port in self.probed() {
            let request = request.clone();
            match patiently(move || ask(port, 9, "probe", PROBE, &request)) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A partition's leader; broker 1 where there is no such partition, to be refused there.
    pub fn leader(&self, topic: &str, partition: i32) -> Live<i64> {
        let view = self.view(Some(topic), None)?;
        let found = view
            .topics
            .first()
            .and_then(|topic| topic.partitions.iter().find(|found| found.partition_index == partition));
        match found.map_or(1, |partition| i64::from(partition.leader_id.0)) {
            -1 => Err(LiveError::Silent("a leader".to_owned())),
            leader => Ok(leader),
        }
    }

    /// The coordinator of a group or a transaction, as soon as there is one.
    pub fn coordinator(&self, key: Key<'_>) -> Live<i64> {
        let (name, kind) = key.parts();
        let end = Instant::now() + COORDINATOR;
        while Instant::now() < end {
            for port in self.probed() {
                let request = FindCoordinatorRequest::default().with_key(text(name)).with_key_type(kind);
                match patiently(move || ask(port, 3, "probe", PROBE, &request)) {
                    Ok(answer) if answer.error_code == 0 => return Ok(i64::from(answer.node_id.0)),
                    _ => {}
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(LiveError::Silent(format!("a coordinator of {name}")))
    }

    /// The first of those that the cluster holds for alive.
    pub fn any(&self) -> Live<i64> {
        let view = self.view(None, None)?;
        let first = view.brokers.iter().map(|broker| i64::from(broker.node_id.0)).min();
        first.ok_or_else(|| LiveError::Silent("every broker".to_owned()))
    }
}
