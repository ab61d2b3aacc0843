//! Which answers show what, so that a change finds them.
use super::Answer;
use database::Touched;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
};
use uuid::Uuid;

/// Changes that are remembered, for answers that are being made, and the things in them.
pub(super) const RECENT: usize = 4096;
pub(super) const RECENT_THINGS: usize = 65_536;

/// Which answers show a thing, and what changed of late.
#[derive(Default)]
pub(super) struct Index {
    /// How many changes there were.
    pub(super) now: u64,
    pub(super) recent: VecDeque<(u64, Touched)>,
    /// Things in `recent`.
    pub(super) remembered: usize,
    showing: HashMap<Uuid, Vec<Weak<Answer>>>,
    /// Entries in `showing`, dead ones among them; and how many are enough to look through it.
    pub(super) entries: usize,
    look_at: usize,
}

impl Index {
    pub(super) fn touched(&mut self, touched: &Touched) {
        self.now += 1;
        if touched.is_everything() {
            self.showing.drain().flat_map(|(_, answers)| answers).for_each(|answer| let_go(&answer));
            self.entries = 0;
        }
        for thing in touched.things() {
            let answers = self.showing.remove(&thing).unwrap_or_default();
            self.entries -= answers.len();
            answers.iter().for_each(let_go);
        }
        self.remembered += touched.things().count();
        self.recent.push_back((self.now, touched.clone()));
        while self.recent.len() > RECENT || self.remembered > RECENT_THINGS {
            let Some((_, forgotten)) = self.recent.pop_front() else { break };
            self.remembered -= forgotten.things().count();
        }
    }

    /// Keeps track of an answer that was begun at `begun`; one that shows what changed since is let go.
    pub(super) fn shows(&mut self, begun: u64, answer: &Arc<Answer>, things: &[Uuid]) {
        let remembers_from = self.recent.front().map_or(self.now + 1, |(first, _)| *first);
        let forgotten = remembers_from > begun + 1;
        let since = self.recent.iter().rev().take_while(|(at, _)| *at > begun);
        let changed =
            |touched: &Touched| touched.is_everything() || touched.things().any(|thing| things.contains(&thing));
        if forgotten || since.map(|(_, touched)| touched).any(changed) {
            return answer.go();
        }
        for thing in things {
            self.showing.entry(*thing).or_default().push(Arc::downgrade(answer));
        }
        self.entries += things.len();
        if self.entries > self.look_at {
            self.sweep();
        }
    }

    /// Forgets answers that are gone; the next time when there are twice as many.
    fn sweep(&mut self) {
        self.showing.retain(|_, answers| {
            answers.retain(|answer| answer.strong_count() > 0);
            !answers.is_empty()
        });
        self.entries = self.showing.values().map(Vec::len).sum();
        self.look_at = (self.entries * 2).max(1024);
    }
}

fn let_go(answer: &Weak<Answer>) {
    if let Some(answer) = answer.upgrade() {
        answer.go();
    }
}
