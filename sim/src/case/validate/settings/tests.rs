use super::*;

/// What may be nothing at all, for its settings say what that means, or for it ends by itself.
const MAY_BE_ZERO: [(&str, &[&str]); 14] = [
    // Old at once.
    ("corgi.retention", &["age"]),
    // What is acknowledged is on the platter.
    // None stands by.
    ("corgi", &["flush-interval", "lease-grace", "standby-sets"]),
    // He decides at once.
    ("corgi.on-call", &["detection", "silence"]),
    (
        "kafka",
        &[
            "controlled-shutdown-timeout",
            "message-max",
            // Records are old at once.
            "retention",
            "segment",
            "offset-metadata-max",
            "group-initial-rebalance-delay",
            "group-min-session",
        ],
    ),
    ("mirror", &["restart-delay", "transaction-interval", "batch-size"]),
    ("deployment", &["roll-interval", "grace"]),
    // A command is good for ever.
    ("operator", &["command-validity"]),
    // Each write is forced to disk.
    ("redis", &["append-sync-interval"]),
    ("producers.application", &["flush-timeout"]),
    // Never gives up.
    ("producers.corgi", &["delivery-timeout"]),
    ("reverse-mirror.corgi", &["delivery-timeout"]),
    ("groups.application", &["commit-interval", "stop-delay", "close-timeout"]),
    (
        "producers.kafka",
        &["linger", "batch-size", "buffer-memory", "max-block", "retries", "max-request-size"],
    ),
    ("mirror.kafka", &["linger", "batch-size", "buffer-memory", "max-block", "retries", "max-request-size"]),
];

fn all() -> Vec<(String, Vec<Way<'static>>, &'static Keys)> {
    let title = |way: &[Way<'_>]| -> String {
        let keys = way.iter().filter_map(|step| match step {
            Way::Key(key) => Some(*key),
            Way::At(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    };
    let groups = GROUP_TABLES
        .iter()
        .map(|(way, keys)| ([crate::case::validate::way!["groups", 0], *way].concat(), keys));
    let others = TABLES.iter().map(|(way, keys)| (way.to_vec(), keys));
    others.chain(groups).map(|(way, keys)| (title(&way), way, keys)).collect()
}

fn is_span(node: &Node) -> bool {
    node.text().is_some_and(|text| text.parse::<Span>().is_ok())
}

fn is_count(node: &Node) -> bool {
    let size = node.text().is_some_and(|text| text.parse::<Bytes>().is_ok());
    matches!(node.value, Value::Integer(_)) || size && !is_span(node)
}

/// A key that is new must be put into one list or the other.
#[test]
fn every_duration_and_count_is_refused_at_zero_or_known_to_mean_something() {
    let tree = defaults().unwrap();
    for (title, way, keys) in all() {
        let may = MAY_BE_ZERO.iter().find(|(table, _)| *table == title).map_or(&[][..], |(_, keys)| *keys);
        let table = tree.at(&way).and_then(Node::table).unwrap();
        for entry in &table.entries {
            let key = entry.key.as_str();
            let (span, count) = (keys.spans.contains(&key), keys.counts.contains(&key));
            if is_span(&entry.node) {
                assert!(span != may.contains(&key), "[{title}] {key}");
            } else if is_count(&entry.node) {
                assert!(count != may.contains(&key), "[{title}] {key}");
            } else {
                assert!(!span && !count && !may.contains(&key), "[{title}] {key}");
            }
        }
        for key in keys.spans.iter().chain(keys.counts) {
            assert!(table.entries.iter().any(|entry| entry.key == *key), "[{title}] has no {key}");
        }
    }
}

/// `[tables]` that are settings, and no list here knows them, would go unchecked.
#[test]
fn every_table_of_settings_is_checked() {
    let tree = defaults().unwrap();
    let known = all();
    let tops = ["corgi", "kafka", "mirror", "reverse-mirror", "switch", "deployment", "operator"]
        .map(|key| vec![Way::Key(key)]);
    let applications = [vec![Way::Key("producers")], way!["groups", 0].to_vec()];
    let mut left: Vec<Vec<Way<'_>>> = tops.into_iter().chain(applications).collect();
    while let Some(way) = left.pop() {
        let table = tree.at(&way).and_then(Node::table).unwrap();
        for entry in table.entries.iter().filter(|entry| entry.node.table().is_some()) {
            let below = [&way[..], &[Way::Key(entry.key.as_str())]].concat();
            let is_known = known.iter().any(|(_, known, _)| format!("{known:?}") == format!("{below:?}"));
            assert!(is_known, "{below:?}");
            left.push(below);
        }
    }
}

#[test]
fn each_is_told_with_its_default() {
    let standard = "name = 'a'\n[[topics]]\nname = 'a'\npartitions = 1\n[[groups]]\nname = 'b'\ntopics = ['a']\n\
                    instances = 1\n[[groups]]\nname = 'c'\ntopics = ['a']\ninstances = 1\n";
    for (title, _, keys) in all() {
        let spans = keys.spans.iter().map(|key| (key, ["'0s'", "'999us'"]));
        let bytes = ["'0B'", "'0KiB'"];
        let is_size = |key: &str| key.starts_with("fetch-") || key.ends_with("-bytes");
        let sizes = |key: &&str| if is_size(key) { bytes } else { ["0", "0x0"] };
        let counts = keys.counts.iter().map(|key| (key, sizes(key)));
        for (key, values) in spans.chain(counts) {
            for value in values {
                let text = format!("{standard}[{title}]\n{key} = {value}");
                let error = Case::from_text("a.toml", &text).expect_err(&text);
                assert!(error.message.contains(&format!("`{key}` is ")), "{text}\n{error}");
                assert_eq!(error.line, text.lines().count(), "{error}");
                let help = error.help.clone().unwrap();
                assert!(
                    help.contains(&format!("{key} = ")) || help.contains(" from 1 to "),
                    "{error} {help}"
                );
            }
        }
    }
    for (title, keys) in MAY_BE_ZERO {
        for key in keys.iter().filter(|key| **key != "buffer-memory") {
            let text = ["'0s'", "'0B'", "0"]
                .map(|value| format!("{standard}[{title}]\n{}{key} = {value}", heard_with(title)));
            assert!(text.iter().any(|text| Case::from_text("a.toml", text).is_ok()), "[{title}] {key}");
        }
    }
}

/// Without which some keys of that table have no effect, and would be refused for it.
fn heard_with(title: &str) -> &'static str {
    match title {
        "mirror" => "commit = 'atomic'\n",
        "redis" => "persistence = 'append-only'\n",
        _ => "",
    }
}

#[test]
fn an_atomic_mirror_refuses_what_kafka_refuses_and_what_it_would_not_go_by() {
    let standard = "name = 'a'\n[[topics]]\nname = 'a'\npartitions = 1\n[[groups]]\nname = 'b'\ntopics = ['a']\n\
                    instances = 1\n[mirror]\n";
    let read = |commit: &str, rest: &str| {
        Case::from_text("a.toml", &format!("{standard}commit = '{commit}'\n{rest}"))
    };
    let wrong = [
        ("transaction-timeout = '20m'", "transaction-max-timeout of 15m"),
        (
            "transaction-interval = '1m'",
            "transaction-interval is 1m, and must be below the transaction-timeout of 1m",
        ),
        ("[mirror.kafka]\nacks = 'leader'", "acks must be \"all\""),
        ("[mirror.kafka]\nidempotence = false", "idempotence must not be off"),
        ("[mirror.kafka]\ndelivery-timeout = '10s'", "delivery-timeout must be at least"),
        ("[mirror.kafka]\ntransaction-timeout = '30s'", "does not go by `transaction-timeout`"),
        ("[mirror.kafka]\nbatch-size = '1KB'", "does not go by `batch-size`"),
        ("[mirror.kafka]\nrequest-timeout = '5s'", "does not go by `request-timeout`"),
        ("[mirror.kafka]\nlinger = '5ms'", "does not go by `linger`"),
    ];
    for (text, told) in wrong {
        let error = read("atomic", text).expect_err(text);
        assert!(error.message.contains(told), "{error}");
        assert!(error.help.is_some(), "{error}");
        let last = text.lines().count() + standard.lines().count() + 1;
        assert_eq!(error.line, last, "{error}");
    }
    let right = "request-timeout = '5s'\n[mirror.kafka]\ndelivery-timeout = '10s'\nmax-request-size = '1KB'";
    assert!(read("atomic", right).is_ok());
    assert!(read("atomic", "transaction-interval = '59s'").is_ok());
    let plain = "[mirror.kafka]\nacks = 'leader'\nmax-in-flight = 1";
    assert!(read("after-acknowledgement", plain).is_ok());
}
