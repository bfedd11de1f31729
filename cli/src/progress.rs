//! The progress bar of a sweep: seeds a second and findings so far. It shows on a terminal only.

use cutover_sim::run::sweep::Folded;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar for so many seeds, hidden where nobody watches.
pub fn bar(seeds: u64, case: &str, shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} seeds  {per_sec:>10}  {msg}  {eta}");
    ProgressBar::new(seeds)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
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
