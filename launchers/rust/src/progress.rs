//! Progress of a first start: a line on a terminal once it takes longer than a second, otherwise nothing.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::log;

pub struct Progress {
    label: String,
    started: Instant,
    total: AtomicU64,
    done: AtomicU64,
    watcher: Thread,
    terminal: bool,
}

impl Progress {
    pub fn new(label: &str) -> Self {
        let terminal = std::io::stderr().is_terminal() && !log::is_json();
        Progress {
            label: label.chars().filter(|c| !c.is_control()).collect(),
            started: Instant::now(),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            watcher: thread::current(),
            terminal,
        }
    }

    pub fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Relaxed);
    }

    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
    }

    /// Called by a worker that ends.
    pub fn wake(&self) {
        self.watcher.unpark();
    }

    /// Shows the progress until `finished`; runs on the thread that made this value.
    pub fn watch(&self, finished: impl Fn() -> bool) {
        let mut shown = false;
        while !finished() {
            thread::park_timeout(Duration::from_millis(if self.terminal { 100 } else { 1000 }));
            if self.terminal && self.started.elapsed() > Duration::from_secs(1) && !finished() {
                shown = true;
                let percent = self.done.load(Relaxed).saturating_mul(100) / self.total.load(Relaxed).max(1);
                log::put(&format!("\rsealift: preparing {} {:3} %", self.label, percent.min(100)));
            }
        }
        if shown {
            log::put("\r\x1b[K");
        }
    }
}
