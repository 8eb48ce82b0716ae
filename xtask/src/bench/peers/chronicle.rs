//! What the processes of a trial said, in the order in which it was heard.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::watch;

use crate::bench::candidate::{Said, What};
use crate::shell;

/// What a replica said, and when by the clock of the machine.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) replica: &'static str,
    pub(super) what: What,
    pub(super) at: u64,
}

/// All that was said; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Chronicle {
    events: Arc<Mutex<Vec<Event>>>,
    news: watch::Sender<usize>,
}

impl Chronicle {
    pub(super) fn new() -> Self {
        Self {
            events: Arc::default(),
            news: watch::Sender::new(0),
        }
    }

    /// Listens to a replica until it ends.
    pub(super) fn listen(&self, replica: &'static str, output: ChildStdout) {
        let own = self.clone();
        shell::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // What is no event is a word for people; an event that is missed is noticed by whoever waits for it.
                if let Ok(Said { event, boottime }) = serde_json::from_str(&line) {
                    own.push(Event {
                        replica,
                        what: event,
                        at: boottime,
                    });
                }
            }
        });
    }

    fn push(&self, event: Event) {
        let mut events = self.lock();
        events.push(event);
        self.news.send_replace(events.len());
    }

    /// What comes from here on has not been heard yet.
    pub(super) fn mark(&self) -> usize {
        self.lock().len()
    }

    /// Everything so far.
    pub(super) fn all(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Who leads by what was said so far; a replica that was killed said nothing.
    pub(super) fn leader(&self) -> Option<&'static str> {
        let events = self.lock();
        let last = |replica| {
            let own = |event: &&Event| event.replica == replica && event.what != What::Started;
            events.iter().rev().find(own).map(|event| event.what)
        };
        let led = events.iter().rev().find(|event| event.what == What::Leads)?;
        (last(led.replica) == Some(What::Leads)).then_some(led.replica)
    }

    /// Waits for the first event from a mark on for which something holds.
    pub(super) async fn first(&self, mark: usize, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut news = self.news.subscribe();
        loop {
            news.mark_unchanged();
            let found = self.lock()[mark..].iter().find(|event| wanted(event)).cloned();
            if let Some(event) = found {
                return event;
            }
            // The sender lives as long as this.
            let _ = news.changed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(events: &[(&'static str, What)]) -> Chronicle {
        let chronicle = Chronicle::new();
        for (replica, what) in events.iter().copied() {
            chronicle.push(Event { replica, what, at: 0 });
        }
        chronicle
    }

    #[test]
    fn who_led_last_leads_until_its_work_has_stopped() {
        let check = |events: &[(&'static str, What)], leader| assert_eq!(said(events).leader(), leader);
        check(&[("alpha", What::Started)], None);
        check(&[("alpha", What::Leads), ("bravo", What::Started)], Some("alpha"));
        check(&[("alpha", What::Leads), ("alpha", What::Stopped)], None);
        // What alpha said last was heard later than what bravo said.
        check(
            &[
                ("alpha", What::Leads),
                ("bravo", What::Leads),
                ("alpha", What::Stopped),
            ],
            Some("bravo"),
        );
    }

    #[tokio::test]
    async fn what_was_said_before_a_mark_is_not_waited_for() {
        let chronicle = said(&[("alpha", What::Leads)]);
        let mark = chronicle.mark();
        let later = chronicle.clone();
        let (event, ()) = futures::join!(chronicle.first(mark, |event| event.what == What::Leads), async {
            later.push(Event {
                replica: "bravo",
                what: What::Leads,
                at: 1,
            });
        });
        assert_eq!(event.replica, "bravo");
    }
}
