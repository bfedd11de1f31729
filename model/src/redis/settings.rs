//! The settings of Redis, as a case file gives them. Defaults are those of the configuration that Redis 7 is shipped
//! with.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// Redis's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// What a restart finds again.
    pub persistence: Persistence,
    /// `save`: with `persistence = "snapshot"`, a snapshot is written when one of these is reached. A stop in good
    /// order writes one too, a crash does not.
    pub save: Vec<SavePoint>,
    /// With `persistence = "append-only"`: how often the file is forced to disk (`appendfsync everysec`), and so how
    /// much a crash loses at most; 0 forces each write (`always`). A crash is taken for the host's: of a process that is merely
    /// killed the page cache keeps what was written.
    pub append_sync_interval: Span,
    /// `stop-writes-on-bgsave-error`: with `persistence = "snapshot"`, whether writes are refused from a snapshot that could not be
    /// written (the disk is full) to the next that could; else Redis goes on in memory. With `append-only` they are always
    /// refused, and with an `append-sync-interval` of 0 Redis exits.
    pub stop_writes_on_save_error: bool,
}

/// What a restart of Redis finds again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Persistence {
    /// Nothing (`save ""`, `appendonly no`).
    None,
    /// The last snapshot (RDB).
    Snapshot,
    /// All writes but those of the last moment (AOF).
    AppendOnly,
}

/// A point at which a snapshot is written (`save 300 100`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SavePoint {
    /// So long after the last snapshot,
    pub after: Span,
    /// if there were so many writes since.
    pub writes: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            persistence: Persistence::Snapshot,
            save: vec![
                SavePoint { after: Span::secs(3_600), writes: 1 },
                SavePoint { after: Span::secs(300), writes: 100 },
                SavePoint { after: Span::secs(60), writes: 10_000 },
            ],
            append_sync_interval: Span::secs(1),
            stop_writes_on_save_error: true,
        }
    }
}

impl Settings {
    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// One sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        let endless = |point: &SavePoint| point.after == Span::ZERO || point.writes == 0;
        if self.save.iter().any(endless) {
            return Err("save must name points with some time and at least one write".to_owned());
        }
        Ok(())
    }
}
