//! How far a long part is: a bar on a terminal, a line now and then elsewhere.
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    sync::Mutex,
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    what: &'static str,
    bar: ProgressBar,
    started: Instant,
    told: Mutex<Instant>,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: usize) -> Self {
        let bar = if stderr().is_terminal() { ProgressBar::new(total as u64) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {per_sec} {eta}");
        bar.set_style(style.expect("the template is fixed"));
        bar.set_prefix(what);
        bar.set_length(total as u64);
        let now = Instant::now();
        Self { what, bar, started: now, told: Mutex::new(now) }
    }

    pub(super) fn step(&self) {
        self.bar.inc(1);
        let mut told = self.told.lock().expect("nobody panics while telling");
        if self.bar.is_hidden() && told.elapsed() > EVERY {
            *told = Instant::now();
            eprintln!("{}: {} of {}", self.what, self.bar.position(), self.bar.length().unwrap_or_default());
        }
    }

    /// Says how many in how long.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
        let (count, seconds) = (self.bar.position(), self.started.elapsed().as_secs_f64());
        println!("{}: {count} in {seconds:.1} s, {:.0} a second", self.what, count as f64 / seconds);
    }
}
