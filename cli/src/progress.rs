//! The progress bar of a sweep: seeds a second and findings so far. It shows on a terminal only.

use cutover_sim::run::sweep::Folded;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;

/// A bar for so many seeds, hidden where nobody watches.
pub fn bar(seeds: u64, case: &str, shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} seeds  {rate}  {msg}  {eta}");
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        // A bar that cannot be drawn is no reason to break a sweep off.
        let _ = out.write_str(&per_second(state.per_sec()));
    };
    ProgressBar::new(seeds)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate))
        .with_prefix(case.to_owned())
}

/// Move the bar on by one run.
pub fn advance(bar: &ProgressBar, folded: &Folded) {
    bar.inc(1);
    bar.set_message(match folded.violated_seeds() {
        0 => "nothing found".to_owned(),
        1 => "1 seed violated".to_owned(),
        seeds => format!("{seeds} seeds violated"),
    });
}

/// A rate as people read it, always as wide: the rest of the line should stand still.
fn per_second(rate: f64) -> String {
    format!("{rate:>7.1}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_rounded_and_as_wide_as_any() {
        for (rate, told) in [(5.1664184775, "    5.2/s"), (0.0, "    0.0/s"), (1234.56, " 1234.6/s")] {
            assert_eq!(per_second(rate), told);
        }
    }
}
