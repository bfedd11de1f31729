//! One controller and three brokers of a real Kafka, with time-outs so short that faults show within seconds.

use super::brokers::Brokers;
use super::calls::{Call, LOADING};
use super::installation::Installation;
use super::names::Names;
use super::processes::{Node, remove_when_interrupted};
use super::{Live, LiveError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CONTROLLER: i64 = 100;
const BROKERS: [i64; 3] = [1, 2, 3];
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";
const UP: Duration = Duration::from_secs(60);
const HEALED: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// The settings that a recording's cluster has (recordings/README.md), and the model's player gives to the model.
const SETTINGS: &str = "\
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
broker.session.timeout.ms=2500
broker.heartbeat.interval.ms=300
replica.lag.time.max.ms=2000
replica.fetch.wait.max.ms=100
replica.high.watermark.checkpoint.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=200
offsets.topic.num.partitions=3
offsets.topic.replication.factor=3
offsets.retention.check.interval.ms=1000
offset.metadata.max.bytes=4096
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
min.insync.replicas=2
default.replication.factor=3
auto.create.topics.enable=false
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
leader.imbalance.check.interval.seconds=100000
auto.leader.rebalance.enable=false
log.cleaner.enable=false
num.network.threads=2
num.io.threads=4
log.segment.delete.delay.ms=500
controlled.shutdown.enable=true
producer.id.expiration.check.interval.ms=1000
controller.quorum.fetch.timeout.ms=4000
";

/// The internal topics, and the replicas that the model gives their partitions, the leader first.
const INTERNAL: [(&str, [[i64; 3]; 3]); 2] = [
    ("__consumer_offsets", [[1, 2, 3], [2, 3, 1], [3, 1, 2]]),
    ("__transaction_state", [[2, 3, 1], [3, 1, 2], [1, 2, 3]]),
];

/// A running cluster. It ends with this value.
pub struct Kafka {
    installation: Installation,
    // Before the folder, so that the processes have ended when it is removed.
    nodes: BTreeMap<i64, Node>,
    /// What a client knows of it.
    pub brokers: Brokers,
    ports: BTreeMap<i64, u16>,
    folder: TempDir,
    /// How each broker that is struck comes back.
    down: BTreeMap<i64, &'static str>,
}

/// Ports that were free a moment ago.
fn free_ports() -> Live<BTreeMap<i64, u16>> {
    // All are held before one is let go, so that they differ.
    let mut held = Vec::new();
    for node in BROKERS.into_iter().chain([CONTROLLER]) {
        held.push((node, TcpListener::bind(("127.0.0.1", 0))?));
    }
    held.iter().map(|(node, listener)| Ok((*node, listener.local_addr()?.port()))).collect()
}

/// The partitions that are led by another than the first of their replicas; none while a replica is not in sync.
fn strays(view: &Value, layout: &[[i64; 3]; 3]) -> Option<Vec<usize>> {
    let partitions = view["partitions"].as_array().filter(|partitions| partitions.len() == layout.len())?;
    let is_whole = |(partition, replicas): (&Value, &[i64; 3])| {
        partition["isr"] == json!([1, 2, 3]) && partition["replicas"] == json!(replicas)
    };
    let is_right = view["brokers"] == 3 && partitions.iter().zip(layout).all(is_whole);
    let strays =
        layout.iter().enumerate().filter(|(place, replicas)| partitions[*place]["leader"] != replicas[0]);
    is_right.then(|| strays.map(|(place, _)| place).collect())
}

fn texts(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Kafka {
    /// Start a cluster from nothing, with these broker settings beyond the usual ones.
    ///
    /// # Errors
    /// Where a process does not come up.
    pub fn start(installation: Installation, extra: &Value) -> Live<Kafka> {
        let ports = free_ports()?;
        let known = ports.iter().filter(|(node, _)| BROKERS.contains(node));
        let brokers = Brokers::new(known.map(|(node, port)| (*node, *port)).collect());
        let folder = tempfile::Builder::new().prefix("conformance-kafka-").tempdir()?;
        remove_when_interrupted(folder.path());
        let (nodes, down) = (BTreeMap::new(), BTreeMap::new());
        let mut kafka = Kafka { installation, nodes, brokers, ports, folder, down };
        for node in BROKERS.into_iter().chain([CONTROLLER]) {
            std::fs::write(kafka.path(node, "properties"), kafka.properties(node, extra)?)?;
        }
        kafka.format()?;
        for node in BROKERS.into_iter().chain([CONTROLLER]) {
            kafka.launch(node)?;
        }
        for node in BROKERS {
            kafka.wait_until_it_listens(node)?;
        }
        kafka.make_internal_topics()?;
        Ok(kafka)
    }

    /// End this cluster and start another from nothing.
    ///
    /// # Errors
    /// Where a process does not come up.
    pub fn restart(self, extra: &Value) -> Live<Kafka> {
        let Installation { jars, version } = &self.installation;
        let installation = Installation { jars: jars.clone(), version: version.clone() };
        drop(self);
        Kafka::start(installation, extra)
    }

    fn path(&self, node: i64, what: &str) -> PathBuf {
        self.folder.path().join(format!("{node}.{what}"))
    }

    fn port(&self, node: i64) -> Live<u16> {
        self.ports.get(&node).copied().ok_or_else(|| LiveError::Script(format!("no broker {node}")))
    }

    fn properties(&self, node: i64, extra: &Value) -> Live<String> {
        let (role, listener) =
            if node == CONTROLLER { ("controller", "CONTROLLER") } else { ("broker", "PLAINTEXT") };
        let mut text = format!(
            "process.roles={role}\nnode.id={node}\nlisteners={listener}://127.0.0.1:{}\nlog.dirs={}\n\
             controller.quorum.voters={CONTROLLER}@127.0.0.1:{}\n{SETTINGS}",
            self.port(node)?,
            self.path(node, "logs").display(),
            self.port(CONTROLLER)?,
        );
        for (name, value) in extra.as_object().into_iter().flatten() {
            text.push_str(&format!("{name}={}\n", texts(value)));
        }
        Ok(text)
    }

    fn java(&self, most_megabytes: u32) -> Command {
        let mut command = Command::new("java");
        command
            .arg(format!("-Xmx{most_megabytes}m"))
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp"])
            .arg(self.installation.jars.join("*"))
            .env_remove("KAFKA_LOG4J_OPTS")
            .current_dir(self.folder.path());
        command
    }

    fn format(&self) -> Live<()> {
        let mut formatting = Vec::new();
        for node in BROKERS.into_iter().chain([CONTROLLER]) {
            let mut command = self.java(256);
            command.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]);
            command.arg(self.path(node, "properties"));
            formatting.push((node, Node::start(&mut command, &self.path(node, "format"))?));
        }
        for (node, mut process) in formatting {
            let end = Instant::now() + UP;
            while !process.has_ended() && Instant::now() < end {
                thread::sleep(PAUSE);
            }
            if !self.path(node, "logs").join("meta.properties").is_file() {
                return Err(LiveError::Cluster(format!(
                    "the storage of node {node} could not be formatted: {}",
                    std::fs::read_to_string(self.path(node, "format"))?.trim()
                )));
            }
        }
        Ok(())
    }

    fn launch(&mut self, node: i64) -> Live<()> {
        let mut command = self.java(320);
        command.arg("kafka.Kafka").arg(self.path(node, "properties"));
        let process = Node::start(&mut command, &self.path(node, "said"))?;
        self.nodes.insert(node, process);
        Ok(())
    }

    fn node(&mut self, broker: i64) -> Live<&mut Node> {
        self.nodes.get_mut(&broker).ok_or_else(|| LiveError::Script(format!("no broker {broker}")))
    }

    fn wait_until_it_listens(&mut self, broker: i64) -> Live<()> {
        let address = ([127, 0, 0, 1], self.port(broker)?).into();
        let end = Instant::now() + UP;
        while Instant::now() < end && !self.node(broker)?.has_ended() {
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        let said = std::fs::read_to_string(self.path(broker, "said"))?;
        Err(LiveError::Cluster(format!("broker {broker} does not come up: {}", said.trim())))
    }

    fn ask(&self, step: &Value) -> Live<Value> {
        Call { brokers: &self.brokers, names: &Names::default(), step }.answer()
    }

    /// Repeat a call until its answer is as wanted.
    fn ask_until(&self, step: &Value, is_wanted: impl Fn(&Value) -> bool) -> Live<Value> {
        let end = Instant::now() + HEALED;
        loop {
            let answer = self.ask(step);
            match answer {
                Ok(answer) if is_wanted(&answer) => return Ok(answer),
                Ok(last) if Instant::now() > end => {
                    return Err(LiveError::Never { wanted: Box::new(step.clone()), last: Box::new(last) });
                }
                Err(error) if Instant::now() > end => return Err(error),
                _ => thread::sleep(PAUSE),
            }
        }
    }

    /// Let the internal topics be created, and lay their partitions where the model has them.
    fn make_internal_topics(&self) -> Live<()> {
        self.ask_until(&json!({"call": "metadata", "topic": "nothing"}), |view| view["brokers"] == 3)?;
        let created = |answer: &Value| answer["error"] == "NONE";
        self.ask_until(&json!({"call": "find_coordinator"}), created)?;
        self.ask_until(&json!({"call": "find_coordinator", "kind": "transaction"}), created)?;
        for (topic, layout) in INTERNAL {
            for (partition, replicas) in layout.iter().enumerate() {
                let step =
                    json!({"call": "reassign", "topic": topic, "partition": partition, "replicas": replicas});
                self.ask_until(&step, created)?;
            }
        }
        self.wait_until_internal_topics_are_whole()?;
        self.wait_until_coordinators_have_loaded()
    }

    /// Wait until every broker knows that the internal topics have all their replicas and the wanted leaders, and bring
    /// that about where another leads.
    fn wait_until_internal_topics_are_whole(&self) -> Live<()> {
        for (topic, layout) in INTERNAL {
            for broker in BROKERS {
                let step = json!({"call": "metadata", "topic": topic, "to": broker});
                self.ask_until(&step, |view| {
                    let others = strays(view, &layout);
                    for partition in others.iter().flatten() {
                        // Asked for again until it is so: the asked broker may know less than this one.
                        let step = json!({"call": "elect_leader", "topic": topic, "partition": partition});
                        let _ = self.ask(&step);
                    }
                    others.is_some_and(|others| others.is_empty())
                })?;
            }
        }
        Ok(())
    }

    /// Ask each coordinator something that changes nothing, until it has read its log, and each broker for a producer
    /// id, until it has a block of them.
    fn wait_until_coordinators_have_loaded(&self) -> Live<()> {
        for broker in BROKERS {
            let step = json!({"call": "init_producer", "to": broker});
            self.ask_until(&step, |answer| answer["error"] == "NONE")?;
        }
        let mut names = Names::default();
        for name in ["probe1", "probe2", "probe3"] {
            names.use_group(name);
            names.use_transaction(name);
            for step in [
                json!({"call": "describe_group", "group": name}),
                json!({"call": "end_txn", "transaction": name, "commit": false}),
            ] {
                let end = Instant::now() + HEALED;
                loop {
                    let answer = Call { brokers: &self.brokers, names: &names, step: &step }.answer()?;
                    if !LOADING.iter().any(|word| answer.to_string().contains(word)) {
                        break;
                    }
                    if Instant::now() > end {
                        return Err(LiveError::Never { wanted: Box::new(step), last: Box::new(answer) });
                    }
                    thread::sleep(PAUSE);
                }
            }
        }
        Ok(())
    }

    /// The brokers that are struck.
    pub fn is_struck(&self, broker: i64) -> bool {
        self.down.contains_key(&broker)
    }

    /// One of those that are struck.
    pub fn first_struck(&self) -> Option<i64> {
        self.down.keys().next().copied()
    }

    /// Strike a broker, or bring it back.
    ///
    /// # Errors
    /// Where the script names a fault or a broker that there is not, or the process does not obey.
    pub fn strike(&mut self, fault: &str, broker: i64) -> Live<()> {
        match fault {
            "kill" => self.node(broker)?.kill()?,
            "stop" => self.node(broker)?.stop()?,
            "freeze" => self.node(broker)?.freeze()?,
            "thaw" => self.node(broker)?.thaw()?,
            "start" => {
                self.launch(broker)?;
                self.wait_until_it_listens(broker)?;
            }
            other => return Err(LiveError::Script(format!("no fault {other}"))),
        }
        match fault {
            "kill" | "stop" => self.down.insert(broker, "start"),
            "freeze" => self.down.insert(broker, "thaw"),
            _ => self.down.remove(&broker),
        };
        if self.is_struck(broker) {
            self.brokers.silent.insert(broker);
        } else {
            self.brokers.silent.remove(&broker);
        }
        Ok(())
    }

    /// Undo every fault in force.
    ///
    /// # Errors
    /// Where a broker does not come back.
    pub fn undo_faults(&mut self) -> Live<()> {
        for (broker, how) in std::mem::take(&mut self.down) {
            self.strike(how, broker)?;
        }
        Ok(())
    }

    /// Undo every fault and wait until the cluster is whole, its internal topics led by whom the model lets lead them.
    ///
    /// # Errors
    /// Where that does not happen within a minute.
    pub fn heal(&mut self) -> Live<()> {
        self.undo_faults()?;
        self.wait_until_internal_topics_are_whole()?;
        self.wait_until_coordinators_have_loaded()
    }
}
