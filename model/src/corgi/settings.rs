//! Corgi's settings, as a case file gives them. Corgi's own values are not public: where its nearest public relative
//! was observed, the row is named ("e3"); the choices of principle default to a prudently run Corgi.

use crate::units::{Bytes, Span};
use serde::{Deserialize, Serialize};

/// The settings of Corgi's brokers, and of the name service and the on-call within them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How many broker sets there are, each of a master and two slaves; partitions are spread over them in turn.
    /// Default 2.
    pub broker_sets: u16,
    /// How many broker sets stand by besides: they are there and do not run until the plan adds them (`add-broker-set`). Their numbers
    /// come behind those of the others. Default 0.
    pub standby_sets: u16,
    /// How many slaves must have a record before its send is answered with `ok`: `none` (RocketMQ's ASYNC_MASTER),
    /// `one` (any one of the two: its SYNC_MASTER, e1) or `both`. Default `one`.
    pub replication: Replication,
    /// The largest record that a broker takes; a larger one is refused for good (RocketMQ's `maxMessageSize`). Default 4MiB.
    pub max_record_bytes: Bytes,
    /// What readers are shown: `stored` (everything that the master has, as observed in e1) or `acknowledged` (only
    /// what as many slaves have as `replication` wants). Default `acknowledged`.
    pub visible: Visible,
    /// How long a send waits for the slaves before it is answered with `flush-slave-timeout`; the record is stored
    /// all the same (e1). Default 3s.
    pub replica_wait: Span,
    /// After so long without a word of it a slave counts as gone: its master closes the connection, so that it has to follow anew,
    /// and a send that would need it is answered with `slave-not-available` at once; the record is stored all the same (e1;
    /// RocketMQ's `haHousekeepingInterval`). Default 20s.
    pub slave_silence: Span,
    /// How often a slave tells its master how far it is when nothing is written, and how often a slave that does not
    /// follow tries to (e1: every 5 s). Default 5s.
    pub follow_interval: Span,
    /// How often a slave copies the groups' offsets from its master, each slave in its own phase (e5). Default 10s.
    pub offset_copy_interval: Span,
    /// How often a broker writes changed offsets to its disk; a crash takes them back so far (e5). Default 5s.
    pub offset_flush_interval: Span,
    /// How often a master writes down which delayed records it has stored in their partitions: after a restart those
    /// since then are stored there again. Its slaves copy it as often as the groups' offsets (e8). Default 10s.
    pub delay_flush_interval: Span,
    /// Whether brokers and the name service compare epochs. Without, nobody ever tells an old master that it is one,
    /// the name service believes the last master to report, and log lengths alone are compared (e3). Default true.
    pub epochs: bool,
    /// Whether a returning broker cuts its log to what it shares with the present master. Without, it keeps its own
    /// records, gets only what lies behind its own end, and acknowledges what it does not have (e3, e4). Default true.
    pub truncate_on_return: bool,
    /// How often a broker forces its log to its disk. A host that dies takes back what came since; a process that dies
    /// takes back nothing (e11, e14). With `0s` before each answer (RocketMQ's SYNC_FLUSH). Default 500ms (its
    /// ASYNC_FLUSH).
    pub flush_interval: Span,
    /// What a broker does whose disk lost something while its host was down: `follow` (it does not serve, and comes
    /// back as a slave that is filled from the set's master; if it was the master, the on-call promotes a slave) or
    /// `serve` (it goes on as its configuration says, with whatever it finds, as RocketMQ does: e14; on an empty disk
    /// the first broker of a set is its master again). Default `follow`.
    pub after_disk_loss: AfterDiskLoss,
    /// What a slave without a log is filled with: `everything` that its master has, or the `last-file` of it, as
    /// RocketMQ does: it acknowledges from then on, and is no full copy until the rest has grown old (e16). Default
    /// `everything`.
    pub fill: Fill,
    /// What is deleted from the log, and when.
    pub retention: RetentionSettings,
    /// How long a pull waits at the master for a record. Default 15s.
    pub pull_wait: Span,
    /// Where a reader beyond the log's end is sent: `end` (RocketMQ 4.9.4, e5) or `start` (4.8.0, e12). Default `end`.
    pub beyond_end: BeyondEnd,
    /// How long a master keeps a partition for the instance that leased it (e13). Default 60s.
    pub lease: Span,
    /// How long a master that was started again or promoted leases a partition, whose holder it cannot know, only to
    /// an instance that says it holds it already, and does not tell instances of its incomplete list of members.
    /// With `0s` a partition may have two holders after a failover. Default 60s.
    pub lease_grace: Span,
    /// Whether the members of a group are told when a lease was given back, so that they try at once. Without, they
    /// try at their next renewal, and a moved partition rests for 20 to 60 s (e6, e13). Default true.
    pub notify_unlock: bool,
    /// Whether a master refuses commits of a leased partition by anybody but its holder. Observed: it does not (e6).
    /// Default false.
    pub fence_commits: bool,
    /// After so long without a heartbeat an instance is no member any more; a broken connection ends the membership
    /// at once (e6, e13). Default 120s.
    pub member_silence: Span,
    /// The name service.
    pub name_service: NameServiceSettings,
    /// The human on call.
    pub on_call: OnCallSettings,
}

/// What a broker deletes from its log: whole files, by itself, without asking who has read them, and never the last
/// (e10). A file is a stretch of entries here, all partitions of the set together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// A file to which nothing was added for so long is deleted. RocketMQ's default, 72 hours, is longer than any run:
    /// without it nothing is deleted for its age. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Span>,
    /// The time of the day in which old files are deleted, counted from the beginning of the run (RocketMQ: the hour
    /// from four in the morning). Default: at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Whether a broker whose disk is full deletes its oldest file at each look, however young it is, and takes records
    /// again (RocketMQ does, above 85 % of the disk; not observed). Without it such a broker refuses records until
    /// there is room. Default false.
    pub when_full: bool,
    /// How often a broker looks (RocketMQ: every 10 s). Default 10s.
    pub check_interval: Span,
    /// How many entries a file has. Default 1000.
    pub file_entries: u32,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hours {
    /// When it begins.
    pub start: Span,
    /// When it ends.
    pub end: Span,
}

/// What a slave without a log is filled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// With everything that its master has.
    #[default]
    Everything,
    /// From the beginning of the master's last file on.
    LastFile,
}

/// The settings of the name service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NameServiceSettings {
    /// How often a broker reports itself (RocketMQ: 30 s; at once at a change of its role). Default 10s.
    pub register_interval: Span,
    /// After so long without a report a broker is dropped; one whose connection broke is dropped at once (e2stop,
    /// e2kill). Default 120s.
    pub silence: Span,
    /// How often the name service looks for silent brokers (e2stop). Default 10s.
    pub scan_interval: Span,
}

/// The settings of the human on call, who does the failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OnCallSettings {
    /// How often he looks at each master. Default 5s.
    pub watch_interval: Span,
    /// How long he waits for an answer. Default 3s.
    pub answer_wait: Span,
    /// How long he cannot reach a master before he decides. Default 30s.
    pub detection: Span,
    /// For how long the slaves and the name service must not have heard of the master either. Default 15s.
    pub silence: Span,
    /// Whether he first has both slaves stop following and report their final lengths, and tells the old master to
    /// step down. Default true.
    pub fence: bool,
    /// Which slave he promotes. Who promotes the freshest does not promote an empty one while he knows of a master that was not
    /// empty: he waits for that one's process. Default `freshest`.
    pub promote: Promote,
    /// How long he waits for who does not answer once he would decide - a slave, the name service, the slave that he has told to be
    /// the master, the only broker whose log is not empty - before he promotes what is left. Without it he waits until they
    /// answer. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<Span>,
}

/// How many slaves must have a record before its send is answered with `ok`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    /// None.
    None,
    /// Any one.
    #[default]
    One,
    /// Both.
    Both,
}

impl Replication {
    /// The number of slaves.
    pub fn slaves(self) -> usize {
        match self {
            Replication::None => 0,
            Replication::One => 1,
            Replication::Both => 2,
        }
    }
}

/// What a broker does whose disk lost something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterDiskLoss {
    /// It comes back as a slave.
    #[default]
    Follow,
    /// It goes on as its configuration says.
    Serve,
}

/// Which records readers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visible {
    /// Everything that the master has.
    Stored,
    /// What as many slaves have as wanted.
    #[default]
    Acknowledged,
}

/// Where a reader beyond the log's end is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeyondEnd {
    /// To the end.
    #[default]
    End,
    /// To the start.
    Start,
}

/// Which slave the on-call promotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promote {
    /// The one whose log goes furthest.
    #[default]
    Freshest,
    /// The one that is furthest behind: a wrong choice that nothing prevents (e3).
    Stalest,
    /// The first in the list, without looking.
    First,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            broker_sets: 2,
            standby_sets: 0,
            replication: Replication::One,
            max_record_bytes: Bytes(4 << 20),
            visible: Visible::Acknowledged,
            replica_wait: Span::secs(3),
            slave_silence: Span::secs(20),
            follow_interval: Span::secs(5),
            offset_copy_interval: Span::secs(10),
            offset_flush_interval: Span::secs(5),
            delay_flush_interval: Span::secs(10),
            epochs: true,
            truncate_on_return: true,
            flush_interval: Span::millis(500),
            after_disk_loss: AfterDiskLoss::Follow,
            fill: Fill::Everything,
            retention: RetentionSettings::default(),
            pull_wait: Span::secs(15),
            beyond_end: BeyondEnd::End,
            lease: Span::secs(60),
            lease_grace: Span::secs(60),
            notify_unlock: true,
            fence_commits: false,
            member_silence: Span::secs(120),
            name_service: NameServiceSettings::default(),
            on_call: OnCallSettings::default(),
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> RetentionSettings {
        RetentionSettings {
            age: None,
            hours: None,
            when_full: false,
            check_interval: Span::secs(10),
            file_entries: 1_000,
        }
    }
}

impl Default for NameServiceSettings {
    fn default() -> NameServiceSettings {
        NameServiceSettings {
            register_interval: Span::secs(10),
            silence: Span::secs(120),
            scan_interval: Span::secs(10),
        }
    }
}

impl Default for OnCallSettings {
    fn default() -> OnCallSettings {
        OnCallSettings {
            watch_interval: Span::secs(5),
            answer_wait: Span::secs(3),
            detection: Span::secs(30),
            silence: Span::secs(15),
            fence: true,
            promote: Promote::Freshest,
            patience: None,
        }
    }
}
