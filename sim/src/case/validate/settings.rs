//! Checks of the systems' and the clients' settings one by one: what recurs must take time, or the run would stand
//! still at one moment, and who works must do at least one thing at a time. Zero stays allowed where it has a meaning of
//! its own, such as a `linger` of nothing; the tests below say where.

use super::way;
use crate::case::Case;
use crate::case::deserialize::read;
use crate::case::error::Problem;
use crate::case::tree::{Entry, Node, Value, Way, parse};
use cutover_model::units::{Bytes, Span};

/// The real systems count their durations in milliseconds.
const SHORTEST: Span = Span::millis(1);

/// The keys of a table that may not be zero.
struct Keys {
    spans: &'static [&'static str],
    counts: &'static [&'static str],
}

const CORGI: Keys = Keys {
    spans: &[
        "replica-wait",
        "slave-silence",
        "follow-interval",
        "offset-copy-interval",
        "offset-flush-interval",
        "delay-flush-interval",
        "pull-wait",
        "lease",
        "member-silence",
    ],
    counts: &["broker-sets", "max-record-bytes"],
};

const CORGI_RETENTION: Keys = Keys { spans: &["check-interval"], counts: &["file-entries"] };

const NAME_SERVICE: Keys = Keys { spans: &["register-interval", "silence", "scan-interval"], counts: &[] };

const ON_CALL: Keys = Keys { spans: &["watch-interval", "answer-wait"], counts: &[] };

const KAFKA: Keys = Keys {
    spans: &[
        "broker-session",
        "broker-heartbeat",
        "replica-lag-time-max",
        "replica-fetch-wait",
        "replica-fetch-backoff",
        "replica-fetch-timeout",
        "high-watermark-checkpoint",
        "producer-id-expiration",
        "producer-id-expiration-check",
        "retention-check",
        "offsets-commit-timeout",
        "offsets-retention",
        "offsets-retention-check",
        "group-max-session",
        "transaction-max-timeout",
        "transactional-id-expiration",
        "transactional-id-expiration-check",
        "transaction-timeout-check",
    ],
    counts: &[
        "brokers",
        "replication-factor",
        "min-insync-replicas",
        "offsets-partitions",
        "transaction-partitions",
    ],
};

/// Both of its keys are absent by default; what they may be, the quota itself says.
const QUOTA: Keys = Keys { spans: &[], counts: &[] };

const MIRROR: Keys = Keys {
    spans: &["commit-interval", "retry-after", "transaction-timeout", "request-timeout", "retry-backoff"],
    counts: &["workers", "scatter-after", "in-flight", "transaction-records"],
};

const REVERSE_MIRROR: Keys =
    Keys { spans: &["commit-interval", "retry-after"], counts: &["workers", "scatter-after", "in-flight"] };

const SWITCH: Keys = Keys { spans: &["repeat-interval"], counts: &[] };

const DEPLOYMENT: Keys = Keys { spans: &["probe-interval"], counts: &[] };

const OPERATOR: Keys = Keys { spans: &["report-interval", "request-timeout", "retry"], counts: &[] };

const PRODUCER: Keys = Keys { spans: &["retry-backoff"], counts: &["max-outstanding"] };

const CONSUMER: Keys = Keys { spans: &["commit-repeat"], counts: &["workers"] };

const REDIS: Keys = Keys { spans: &[], counts: &[] };

const REWIND: Keys = Keys { spans: &["time-to-live", "refresh"], counts: &[] };

/// Its count is absent by default; what it may be, the hosts themselves say.
const HOSTS: Keys = Keys { spans: &[], counts: &[] };

const SWITCHES: Keys = Keys { spans: &["poll", "retry"], counts: &[] };

const CORGI_PRODUCER: Keys = Keys {
    spans: &["send-timeout", "retry-backoff", "retry-backoff-max", "route-refresh"],
    counts: &["max-in-flight", "batch-records"],
};

const CORGI_CONSUMER: Keys = Keys {
    spans: &[
        "commit-interval",
        "pull-timeout",
        "request-timeout",
        "retry-backoff",
        "rebalance-interval",
        "lease-renewal",
        "lease-belief",
        "route-refresh",
    ],
    counts: &["prefetch-records", "pull-records"],
};

const KAFKA_PRODUCER: Keys = Keys {
    spans: &[
        "delivery-timeout",
        "request-timeout",
        "retry-backoff",
        "retry-backoff-max",
        "metadata-max-age",
        "transaction-timeout",
    ],
    counts: &["max-in-flight"],
};

const KAFKA_CONSUMER: Keys = Keys {
    spans: &[
        "session-timeout",
        "heartbeat-interval",
        "max-poll-interval",
        "fetch-wait",
        "request-timeout",
        "metadata-max-age",
        "retry-backoff",
        "retry-backoff-max",
    ],
    // A fetch that wants no bytes is answered at once, and the next one too.
    counts: &["max-poll-records", "fetch-min", "fetch-max", "fetch-partition-max"],
};

/// Every table outside the groups.
const TABLES: [(&[Way<'static>], Keys); 21] = [
    (&[Way::Key("corgi")], CORGI),
    (&[Way::Key("corgi"), Way::Key("retention")], CORGI_RETENTION),
    (&[Way::Key("corgi"), Way::Key("name-service")], NAME_SERVICE),
    (&[Way::Key("corgi"), Way::Key("on-call")], ON_CALL),
    (&[Way::Key("kafka")], KAFKA),
    (&[Way::Key("kafka"), Way::Key("quota")], QUOTA),
    (&[Way::Key("mirror")], MIRROR),
    (&[Way::Key("mirror"), Way::Key("corgi")], CORGI_CONSUMER),
    (&[Way::Key("mirror"), Way::Key("kafka")], KAFKA_PRODUCER),
    (&[Way::Key("reverse-mirror")], REVERSE_MIRROR),
    (&[Way::Key("reverse-mirror"), Way::Key("kafka")], KAFKA_CONSUMER),
    (&[Way::Key("reverse-mirror"), Way::Key("corgi")], CORGI_PRODUCER),
    (&[Way::Key("switch")], SWITCH),
    (&[Way::Key("redis")], REDIS),
    (&[Way::Key("hosts")], HOSTS),
    (&[Way::Key("deployment")], DEPLOYMENT),
    (&[Way::Key("operator")], OPERATOR),
    (&[Way::Key("producers"), Way::Key("application")], PRODUCER),
    (&[Way::Key("producers"), Way::Key("application"), Way::Key("switches")], SWITCHES),
    (&[Way::Key("producers"), Way::Key("corgi")], CORGI_PRODUCER),
    (&[Way::Key("producers"), Way::Key("kafka")], KAFKA_PRODUCER),
];

/// Every table of a group.
const GROUP_TABLES: [(&[Way<'static>], Keys); 5] = [
    (&[Way::Key("application")], CONSUMER),
    (&[Way::Key("application"), Way::Key("switches")], SWITCHES),
    (&[Way::Key("application"), Way::Key("rewind")], REWIND),
    (&[Way::Key("corgi")], CORGI_CONSUMER),
    (&[Way::Key("kafka")], KAFKA_CONSUMER),
];

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    for (way, keys) in &TABLES {
        table(tree, way.to_vec(), keys)?;
    }
    for at in 0..case.groups.len() {
        for (way, keys) in &GROUP_TABLES {
            table(tree, [way!["groups", at], *way].concat(), keys)?;
        }
    }
    together(tree, way!["operator"], case.operator.validate())?;
    together(tree, way!["redis"], case.redis.as_ref().map_or(Ok(()), |redis| redis.validate()))?;
    together(tree, way!["hosts"], case.hosts.as_ref().map_or(Ok(()), |hosts| hosts.validate()))?;
    together(tree, way!["kafka", "quota"], case.kafka.quota.validate())?;
    together(tree, way!["mirror"], case.mirror.validate(case.kafka.transaction_max_timeout))?;
    together(tree, way!["mirror", "kafka"], case.mirror.validate_kafka())?;
    together(tree, way!["producers", "kafka"], case.producers.kafka.validate())?;
    let reverse = case.reverse_mirror.as_ref().map_or(Ok(()), |reverse| reverse.kafka.validate());
    together(tree, way!["reverse-mirror", "kafka"], reverse)?;
    for (at, group) in case.groups.iter().enumerate() {
        together(tree, way!["groups", at, "kafka"], group.kafka.validate())?;
    }
    Ok(())
}

fn table(tree: &Node, way: Vec<Way<'static>>, keys: &Keys) -> Result<(), Problem> {
    let written = tree.at(&way).and_then(Node::table).map_or(&[][..], |table| &table.entries);
    for entry in written {
        let least = match &entry.node.value {
            Value::Text(text) if keys.spans.contains(&entry.key.as_str()) => {
                text.parse().is_ok_and(|span: Span| span < SHORTEST).then(|| SHORTEST.to_string())
            }
            value if keys.counts.contains(&entry.key.as_str()) => none(value),
            _ => None,
        };
        if let Some(least) = least {
            return Err(too_little(entry, &least, &way));
        }
    }
    Ok(())
}

/// The least there can be, if this is nothing at all.
fn none(value: &Value) -> Option<String> {
    match value {
        Value::Integer(0) => Some("1".to_owned()),
        Value::Text(text) if text.parse() == Ok(Bytes(0)) => Some(Bytes(1).to_string()),
        _ => None,
    }
}

fn too_little(entry: &Entry, least: &str, way: &[Way<'_>]) -> Problem {
    let key = &entry.key;
    let shown = |node: &Node| match &node.value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Integer(number) => number.to_string(),
        _ => String::new(),
    };
    let usual = defaults().and_then(|tree| tree.at(&first_of_lists(way))?.get(key).map(shown));
    let help = match usual {
        Some(usual) => format!("write more, such as its default: {key} = {usual}"),
        None => format!("write more, or remove `{key}`"),
    };
    let message = format!("`{key}` is {}, and must be at least {least}", shown(&entry.node).replace('"', ""));
    Problem::new(entry.node.place, message, help)
}

/// The same way through the first item of every list: the defaults have one group, and it stands for all.
fn first_of_lists<'a>(way: &[Way<'a>]) -> Vec<Way<'a>> {
    way.iter()
        .map(|step| match step {
            Way::Key(key) => Way::Key(key),
            Way::At(_) => Way::At(0),
        })
        .collect()
}

/// A case with every default written out, as a tree.
fn defaults() -> Option<Node> {
    let text = "name = 'defaults'\n[[topics]]\nname = 'a'\npartitions = 1\n[[groups]]\nname = 'b'\ntopics = ['a']\n\
                instances = 1\n[redis]\n[hosts]\n[reverse-mirror]";
    let case: Case = read(&parse(0, text).ok()?).ok()?;
    parse(0, &toml::to_string(&case).ok()?).ok()
}

/// What a system says of its settings together. It stands where the first key stands that the sentence names, and else
/// at the table: the others have their defaults.
fn together(tree: &Node, way: &[Way<'_>], judged: Result<(), String>) -> Result<(), Problem> {
    let Err(sentence) = judged else { return Ok(()) };
    let words = || sentence.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let table = tree.at(way).and_then(Node::table);
    let named = table.and_then(|table| {
        words().find_map(|word| table.entries.iter().find(|entry| entry.key == word)).map(|entry| entry.place)
    });
    let help = "change one of the keys that are named; those that are not written have their defaults";
    Err(Problem::new(named.unwrap_or(tree.place_of(way)), sentence, help))
}

#[cfg(test)]
mod tests;
