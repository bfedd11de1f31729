//! A gate as it stands in a file, and what its word needs of the keys.

use super::{needed, present, superfluous, unknown};
use crate::plan::Gate;
use crate::record::Queue;
use crate::switch::WriteTo;
use crate::units::Span;
use serde::de::IgnoredAny;
use strum::VariantNames;

/// A gate as it stands in a file. The keys of a wait are known here so that who writes one in the gate's table is told where it
/// belongs.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::plan) struct GateLine {
    r#for: Option<String>,
    span: Option<Span>,
    at_most: Option<u64>,
    group: Option<String>,
    from: Option<Queue>,
    to: Option<WriteTo>,
    max_age: Option<IgnoredAny>,
    fresh: Option<IgnoredAny>,
    timeout: Option<IgnoredAny>,
    otherwise: Option<IgnoredAny>,
    retry_after: Option<IgnoredAny>,
    back: Option<IgnoredAny>,
}

impl TryFrom<GateLine> for Gate {
    type Error = String;

    fn try_from(mut line: GateLine) -> Result<Gate, String> {
        let word = line.r#for.take().ok_or_else(|| {
            "a gate needs `for = \"..\"`, such as `wait = { for = \"mirror-ready\" }`".to_owned()
        })?;
        line.nothing_of_the_wait(&word)?;
        let gate = match word.as_str() {
            "elapsed" => Gate::Elapsed { span: needed(&word, "span", line.span.take(), "`span = \"5m\"`")? },
            "mirror-ready" => Gate::MirrorReady,
            "mirror-lag" => Gate::MirrorLag { at_most: line.at_most(&word)? },
            "mirror-drained" => Gate::MirrorDrained,
            "group-lag" => Gate::GroupLag { group: line.group(&word)?, at_most: line.at_most(&word)? },
            "upgraded" => Gate::Upgraded { group: line.group(&word)? },
            "old-stopped" => Gate::OldStopped { group: line.group(&word)? },
            "paused" => Gate::Paused { group: line.group(&word)? },
            "reading" => Gate::Reading {
                group: line.group(&word)?,
                from: needed(&word, "from", line.from.take(), "`from = \"kafka\"`")?,
            },
            "held" => Gate::Held,
            "writing" => Gate::Writing { to: needed(&word, "to", line.to.take(), "`to = \"kafka\"`")? },
            "only-mirror-reads" => Gate::OnlyMirrorReads,
            "nobody-reads" => Gate::NobodyReads,
            "no-delayed" => Gate::NoDelayed,
            "reverse-mirror-lag" => Gate::ReverseMirrorLag { at_most: line.at_most(&word)? },
            "reverse-mirror-drained" => Gate::ReverseMirrorDrained,
            _ => return Err(unknown("gate", &word, Gate::VARIANTS)),
        };
        line.nothing_left(&word)?;
        Ok(gate)
    }
}

impl GateLine {
    fn group(&mut self, word: &str) -> Result<String, String> {
        needed(word, "group", self.group.take(), "`group = \"billing\"`")
    }

    fn at_most(&mut self, word: &str) -> Result<u64, String> {
        needed(word, "at-most", self.at_most.take(), "`at-most = 100`")
    }

    fn nothing_of_the_wait(&self, word: &str) -> Result<(), String> {
        let left = present(&[
            ("max-age", self.max_age.is_some()),
            ("fresh", self.fresh.is_some()),
            ("timeout", self.timeout.is_some()),
            ("otherwise", self.otherwise.is_some()),
            ("retry-after", self.retry_after.is_some()),
            ("back", self.back.is_some()),
        ]);
        match left.first() {
            Some(key) => Err(format!(
                "`{key}` belongs beside `wait`, and not into its table: write \
                 {{ wait = {{ for = \"{word}\" }}, {key} = .. }}"
            )),
            None => Ok(()),
        }
    }

    fn nothing_left(&self, word: &str) -> Result<(), String> {
        let left = present(&[
            ("span", self.span.is_some()),
            ("at-most", self.at_most.is_some()),
            ("group", self.group.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
        ]);
        superfluous("gate", word, &left)
    }
}
