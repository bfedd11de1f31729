//! Keys that nobody goes by: they are written in vain, and whoever wrote one believes that it does something. One that has its
//! default says nothing, and is written wherever a case is shown or saved with all its settings.

use super::way;
use crate::case::Case;
use crate::case::error::Problem;
use crate::case::tree::{Entry, Node, Way};
use cutover_model::mirror::Settings;
use cutover_model::mirror::settings::Commit;
use cutover_model::redis::Persistence;
use serde::Serialize;

/// Keys of one table that have no effect, each with the next thing to try.
struct Vain<'a> {
    way: &'a [Way<'a>],
    keys: &'a [(&'a str, &'a str)],
    /// Who does not go by them.
    who: &'a str,
    /// Whose they are, where that is somebody else.
    of: &'a str,
    /// The file that says so, if one does: what others wrote, it has made vain knowingly.
    decided_in: Option<usize>,
}

/// Of `[corgi.retention]`: what says when files that are old are deleted.
const NOT_WITHOUT_AGE: [(&str, &str); 1] =
    [("hours", "add an `age` under [corgi.retention], or remove it: nothing is ever old")];

/// Of `[corgi.retention]`: what says when a broker looks for files to delete.
const NOT_WITHOUT_DELETION: [(&str, &str); 1] = [(
    "check-interval",
    "add an `age` or `when-full = true` under [corgi.retention], or remove it: nothing is ever deleted",
)];

/// Of `[redis]`: what only a file of all writes has.
const NOT_APPEND_ONLY: [(&str, &str); 1] =
    [("append-sync-interval", "write persistence = \"append-only\" under [redis], or remove it")];

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    mirror(case, tree)?;
    let retention = &case.corgi.retention;
    let of_retention = |keys, who| {
        Vain { way: way!["corgi", "retention"], keys, who, of: "", decided_in: None }.check(
            tree,
            retention,
            &Default::default(),
        )
    };
    if retention.age.is_none() {
        of_retention(&NOT_WITHOUT_AGE, "a Corgi that keeps records of every age")?;
        if !retention.when_full {
            of_retention(&NOT_WITHOUT_DELETION, "a Corgi that deletes nothing")?;
        }
    }
    match &case.redis {
        Some(redis) if redis.persistence != Persistence::AppendOnly => {
            let who = "a Redis without persistence = \"append-only\"";
            let vain = Vain { way: way!["redis"], keys: &NOT_APPEND_ONLY, who, of: "", decided_in: None };
            vain.check(tree, redis, &Default::default())
        }
        _ => Ok(()),
    }
}

/// The atomic mirror has a producer of its own, and no other has transactions.
fn mirror(case: &Case, tree: &Node) -> Result<(), Problem> {
    let (way, of) = (way!["mirror", "kafka"], " of its producer");
    let decided_in = tree.at(way!["mirror", "commit"]).map(|commit| commit.place.file);
    if case.mirror.commit == Commit::Atomic {
        let who = "a mirror with commit = \"atomic\"";
        let vain = Vain { way, keys: &Settings::NOT_ATOMIC, who, of, decided_in: None };
        return vain.check(tree, &case.mirror.kafka, &Default::default());
    }
    let who = "a mirror without commit = \"atomic\"";
    let vain = Vain { way: way!["mirror"], keys: &Settings::ATOMIC_ALONE, who, of: "", decided_in };
    vain.check(tree, &case.mirror, &Default::default())
}

impl Vain<'_> {
    /// The first of the keys that is written, and has not its default.
    fn check<T: Serialize>(&self, tree: &Node, settings: &T, default: &T) -> Result<(), Problem> {
        let written = tree.at(self.way).and_then(Node::table).map_or(&[][..], |table| &table.entries);
        let table = |settings: &T| toml::Table::try_from(settings).ok();
        let (set, default) = (table(settings), table(default));
        let value =
            |table: &Option<toml::Table>, key: &str| table.as_ref().and_then(|it| it.get(key).cloned());
        let is_vain = |entry: &&Entry| {
            self.decided_in.is_none_or(|file| file == entry.place.file)
                && value(&set, &entry.key) != value(&default, &entry.key)
        };
        let advice = |key: &str| self.keys.iter().find(|(vain, _)| *vain == key).map(|(_, advice)| *advice);
        let found = written.iter().filter(is_vain).find_map(|entry| Some((entry, advice(&entry.key)?)));
        match found {
            Some((entry, advice)) => {
                let message = format!("{} does not go by `{}`{}", self.who, entry.key, self.of);
                Err(Problem::new(entry.place, message, advice))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: &str = "name = 'a'\n[[topics]]\nname = 'a'\npartitions = 1\n[[groups]]\nname = 'b'\ntopics = ['a']\n\
                            instances = 1\n";

    fn read(rest: &str) -> Result<Case, crate::case::CaseError> {
        Case::from_text("a.toml", &format!("{STANDARD}{rest}"))
    }

    /// Each without what it needs, its sentence, and what it needs.
    const VAIN: [(&str, &str, &str); 11] = [
        ("[mirror]\ntakeover = 'read-first'", "`takeover`", "commit = 'atomic'"),
        ("[mirror]\ntransactional-id = 'per-worker'", "`transactional-id`", "commit = 'atomic'"),
        ("[mirror]\ntransaction-interval = '1s'", "`transaction-interval`", "commit = 'atomic'"),
        ("[mirror]\ntransaction-timeout = '30s'", "`transaction-timeout`", "commit = 'atomic'"),
        ("[mirror]\ntransaction-records = 50", "`transaction-records`", "commit = 'atomic'"),
        ("[mirror]\nbatch-size = '1KB'", "`batch-size`", "commit = 'atomic'"),
        ("[mirror]\nrequest-timeout = '5s'", "`request-timeout`", "commit = 'atomic'"),
        ("[mirror]\nretry-backoff = '1s'", "`retry-backoff`", "commit = 'atomic'"),
        ("[redis]\nappend-sync-interval = '0s'", "`append-sync-interval`", "persistence = 'append-only'"),
        ("[corgi.retention]\nhours = { start = '1m', end = '2m' }", "`hours`", "age = '1m'"),
        ("[corgi.retention]\ncheck-interval = '1s'", "`check-interval`", "when-full = true"),
    ];

    #[test]
    fn a_key_without_effect_is_told_and_one_with_it_is_not() {
        for (text, key, needs) in VAIN {
            let error = read(text).expect_err(text);
            assert!(error.message.contains(" does not go by ") && error.message.contains(key), "{error}");
            assert_eq!(error.line, STANDARD.lines().count() + 2, "{error}");
            assert!(error.help.is_some(), "{error}");
            read(&format!("{text}\n{needs}")).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let full = "[corgi.retention]\nwhen-full = true\nhours = { start = '1m', end = '2m' }";
        assert!(read(full).expect_err(full).message.contains("keeps records of every age"));
    }

    /// Whoever extends a case and commits otherwise has nothing to set back.
    #[test]
    fn what_another_file_wrote_is_vain_knowingly() {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/mirror-zombie-own-ids.toml");
        let text = format!("extends = '{shipped}'\nname = 'a'\n[mirror]\ncommit = 'after-acknowledgement'");
        Case::from_text("a.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let text = format!("{text}\ntakeover = 'read-first'");
        assert!(Case::from_text("a.toml", &text).expect_err(&text).message.contains("`takeover`"));
    }

    /// They are written wherever a case is shown.
    #[test]
    fn defaults_say_nothing() {
        let shown =
            read("[redis]").and_then(|case| Case::from_text("b.toml", &case.to_toml().expect("it is TOML")));
        shown.unwrap_or_else(|error| panic!("{error}"));
    }
}
