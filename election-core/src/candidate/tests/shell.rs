//! The shell of the rig: it carries out what the machine wants, and checks that the machine may want it.

use alloc::format;
use alloc::string::{String, ToString};

use super::rig::{Ask, Asked, Rig, START, Work};
use super::rows;
use crate::candidate::pace::BURST;
use crate::candidate::{Effect, EndReason, Event, IdentityWrite, Request, Stopped, Term};
use crate::lease::WriteKind;
use crate::time::Mono;

impl Rig {
    /// The work stops, by itself or because it was told to.
    pub(super) fn stop(&mut self, stopped: Stopped) {
        assert!(self.work.is_some(), "no work runs");
        self.event(Event::WorkStopped(stopped));
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
        assert!(!self.finished, "nothing comes after the end: {effect:?}");
        match effect {
            Effect::WriteLease { id, write, within } => {
                assert!(within <= self.settings.timing.request_deadline());
                rows::check(self, &write);
                if write.kind != WriteKind::EndOfTerm {
                    self.stamps.extend(write.record.renew_time);
                }
                self.log.push(write.kind.to_string());
                self.ask(id, Ask::Write(write));
            }
            Effect::CreateLease { id, create, within } => {
                assert!(within <= self.settings.timing.request_deadline());
                assert!(self.direct, "S4: only the elector creates {}", create.key);
                let told = self.told.as_ref().expect("nothing is created unseen");
                assert_eq!(told.object, None, "only what is missing is created");
                self.log.push("create".into());
                self.ask(id, Ask::Create);
            }
            Effect::Coordinated => self.log.push("coordinated".into()),
            Effect::ReadLease { id, within } => {
                assert!(within <= self.settings.timing.request_deadline());
                self.log.push("read".into());
                self.ask(id, Ask::Read);
            }
            Effect::RestartWatch => self.log.push("restart watch".into()),
            Effect::WriteIdentity { id, write, .. } => {
                self.identity_log.push(describe(&write).into());
                self.ask_identity(id, Some(write));
            }
            Effect::ReadIdentity { id, .. } => {
                self.identity_log.push("read".into());
                self.ask_identity(id, None);
            }
            Effect::Lead(term) => self.lead(term),
            Effect::Extend(deadline) => {
                let (now, work) = (self.now, self.work.as_mut().expect("only a term can be extended"));
                assert!(
                    !work.dead && now < work.end(),
                    "S1: a term that ended is never resumed"
                );
                let drains = work
                    .reason
                    .as_ref()
                    .is_none_or(|reason| *reason == EndReason::Shutdown);
                assert!(
                    drains,
                    "only a shutdown lets stopping work go on: {:?}",
                    work.reason
                );
                work.kill_at = work.kill_at.map(|_| deadline);
                work.deadline = deadline;
                self.log.push(format!("extend to {}", moment(deadline)));
            }
            Effect::StopWork { reason, kill_at } => {
                let work = self.work.as_mut().expect("only running work can be told to stop");
                assert!(
                    kill_at <= work.deadline,
                    "S1: killed at the deadline at the latest"
                );
                assert!(
                    work.kill_at.is_none_or(|known| kill_at <= known),
                    "a kill is never put off"
                );
                work.kill_at = Some(kill_at);
                work.reason = Some(reason.clone());
                self.log
                    .push(format!("stop by {}: {}", moment(kill_at), reason.code()));
            }
            Effect::Finished { ousted_by } => {
                assert!(self.work.is_none(), "S6: work never outlives the candidate");
                self.finished = true;
                self.log.push(match ousted_by {
                    Some(by) => format!("finished, ousted by {by}"),
                    None => "finished".into(),
                });
            }
        }
    }

    fn lead(&mut self, term: Term) {
        assert!(self.work.is_none(), "S6: one piece of work at a time");
        assert!(!self.leaving, "who leaves does not begin a term");
        let newer = self.tokens.last().is_none_or(|last| *last < term.token);
        assert!(newer, "S2: {:?} then {:?}", self.tokens, term.token);
        self.tokens.push(term.token);
        assert!(self.now < term.deadline, "S1: a term that is over is never begun");
        self.wanted = false;
        self.work = Some(Work {
            deadline: term.deadline,
            kill_at: None,
            reason: None,
            dead: false,
        });
        self.log.push("lead".into());
    }

    /// Whatever the answers are, a moment sees a bounded number of requests.
    fn ask(&mut self, id: Request, what: Ask) {
        assert!(self.asked.is_none(), "one request on the leader lease at a time");
        self.sent_now += 1;
        assert!(self.sent_now <= BURST, "a hot loop of requests");
        self.asked = Some(Asked {
            id,
            sent: self.now,
            what,
            reached: None,
        });
    }

    fn ask_identity(&mut self, id: Request, write: Option<IdentityWrite>) {
        assert!(
            self.asked_identity.is_none(),
            "one request on the identity lease at a time"
        );
        self.sent_identity_now += 1;
        assert!(self.sent_identity_now <= BURST, "a hot loop of requests");
        self.asked_identity = Some((id, write));
    }
}

fn describe(write: &IdentityWrite) -> &'static str {
    match write {
        IdentityWrite::Create { offers: true, .. } => "create, offering",
        IdentityWrite::Create { offers: false, .. } => "create, not offering",
        IdentityWrite::Update { offers: true, .. } => "update, offering",
        IdentityWrite::Update { offers: false, .. } => "update, not offering",
        IdentityWrite::Delete { .. } => "delete",
    }
}

fn moment(at: Mono) -> String {
    let since = at.since(START);
    if since.subsec_millis() == 0 {
        format!("t+{}s", since.as_secs())
    } else {
        format!("t+{}ms", since.as_millis())
    }
}
