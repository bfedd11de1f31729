//! Checks of the workload.

use super::{known_topic, place, positive, way, within};
use crate::case::Case;
use crate::case::error::Problem;
use crate::case::tree::Node;

/// The most records that a run sends.
const MOST_RECORDS: u64 = 1_000_000;

/// The largest record, in bytes.
pub(crate) const MOST_BYTES: u32 = 64 << 20;

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    let workload = &case.workload;
    within(workload.records, 1, MOST_RECORDS, "`records`", place(tree, way!["workload", "records"]))?;
    within(workload.keys, 1, MOST_RECORDS, "`keys`", place(tree, way!["workload", "keys"]))?;
    window(case, tree)?;
    sizes(case, tree)?;
    if let Some(bursts) = workload.bursts {
        positive(bursts.every, place(tree, way!["workload", "bursts", "every"]))?;
        positive(bursts.length, place(tree, way!["workload", "bursts", "length"]))?;
        let there = place(tree, way!["workload", "bursts", "factor"]);
        within(u64::from(bursts.factor), 1, 1_000, "`factor`", there)?;
        if bursts.length > bursts.every {
            return Err(Problem::new(
                place(tree, way!["workload", "bursts", "length"]),
                format!("a burst of {} does not fit into every {}", bursts.length, bursts.every),
                "write a `length` that is not more than `every`",
            ));
        }
        // A burst a millisecond is a steady stream, and a list of all of them would be a long one.
        if case.duration.0 / bursts.every.0 > 10_000 {
            let there = place(tree, way!["workload", "bursts", "every"]);
            return Err(Problem::new(there, "more than 10000 bursts", "write a longer `every`"));
        }
    }
    if let Some(delayed) = workload.delayed {
        let there = place(tree, way!["workload", "delayed", "per-million"]);
        within(u64::from(delayed.per_million), 1, 1_000_000, "`per-million`", there)?;
        positive(delayed.least, place(tree, way!["workload", "delayed", "least"]))?;
        if delayed.least > delayed.most || delayed.most > case.duration {
            return Err(Problem::new(
                place(tree, way!["workload", "delayed", "most"]),
                format!("a delay from {} to {} is none that a run can see", delayed.least, delayed.most),
                "write a `most` that is not less than `least` and not more than the case's `duration`",
            ));
        }
    }
    sends(case, tree)
}

fn window(case: &Case, tree: &Node) -> Result<(), Problem> {
    let (start, end) = (case.workload.start, case.workload_end());
    // Without an `end` the fault lies with whoever put the start behind four fifths of the run.
    let key = if case.workload.end.is_some() { "end" } else { "start" };
    let there = place(tree, way!["workload", key]);
    if start >= end {
        return Err(Problem::new(
            there,
            format!("the workload ends at {end}, and starts at {start}"),
            "write an `end` that is later than `start`",
        ));
    }
    if end > case.duration {
        return Err(Problem::new(
            there,
            format!("the workload ends at {end}, and the case at {}", case.duration),
            "write an earlier `end`, or a longer `duration`",
        ));
    }
    Ok(())
}

fn sizes(case: &Case, tree: &Node) -> Result<(), Problem> {
    let bytes = case.workload.bytes;
    let there = place(tree, way!["workload", "bytes", "most"]);
    within(bytes.most.0, 0, u64::from(MOST_BYTES), "the greatest size in bytes", there)?;
    match bytes.least <= bytes.most {
        true => Ok(()),
        false => Err(Problem::new(
            there,
            format!("`most` is {}, and `least` is {}", bytes.most, bytes.least),
            "write a `most` that is not less than `least`",
        )),
    }
}

fn sends(case: &Case, tree: &Node) -> Result<(), Problem> {
    let sends = case.workload.sends.as_deref().unwrap_or_default();
    if case.workload.sends.is_some() && case.workload.trace.is_some() {
        let there = place(tree, way!["workload", "trace"]);
        return Err(Problem::new(there, "`sends` is given as well", "remove one of them"));
    }
    let there = place(tree, way!["workload", "sends"]);
    within(sends.len() as u64, 0, MOST_RECORDS, "the number of sends", there)?;
    for (at, send) in sends.iter().enumerate() {
        known_topic(case, &send.topic, place(tree, way!["workload", "sends", at, "topic"]))?;
        let producer = place(tree, way!["workload", "sends", at, "producer"]);
        within(u64::from(send.producer), 0, u64::from(case.producers.count) - 1, "`producer`", producer)?;
        let bytes = place(tree, way!["workload", "sends", at, "bytes"]);
        within(send.bytes.0, 0, u64::from(MOST_BYTES), "the size in bytes", bytes)?;
        if send.at > case.duration {
            let there = place(tree, way!["workload", "sends", at, "at"]);
            return Err(Problem::new(there, "this is after the end of the case", "write an earlier time"));
        }
    }
    Ok(())
}
