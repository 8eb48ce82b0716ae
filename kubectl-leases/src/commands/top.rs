//! `kubectl leases top`: the terminal, its keys, and the watch behind what it shows.

use std::io::{self, Write as _};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use election_core::{LeaseKey, Strategy};
use futures::future::{Fuse, FusedFuture};
use futures::{FutureExt, StreamExt};
use tokio::time::MissedTickBehavior;

use super::steering::Steering;
use crate::cli::{Found, Terminal};
use crate::cluster::{Cluster, Error};
use crate::connection::{Connection, Place, Session};
use crate::electors::Electors;
use crate::follow::Seen;
use crate::moment::{Moment, Stopwatch};
use crate::steer::Wish;
use crate::survey::Survey;
use crate::top::screen::draw;
use crate::top::{Ask, Model};

const HELP: &str = "\
Examples:
  # Every election of the cluster.
  kubectl leases top -A

Keys: up and down (or k and j), page up and page down, home and end (or g and G)
select; enter (or e) explains, esc goes back, d asks the leader to step down,
p shows only problems, q (or ctrl-c) quits.

A server that does not answer is named above the table, and what is shown then
is grey. NEXT is who would lead if the holder stopped now.

SILENCE is a bar for each second: the longer nobody renewed, the higher; a full
one is expired.

Exit code: 0; 1 on errors, and when the output is no terminal.";

/// Watch all elections on one screen, live.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Top {
    #[command(flatten)]
    place: Place,
    /// The strategy of leases that ask for none, if your elector runs with another one than the default.
    #[arg(long, default_value_t)]
    strategy: Strategy,
    #[command(flatten)]
    connection: Connection,
}

/// How often it is looked.
const MOMENT: Duration = Duration::from_secs(1);
/// A server that has not answered for so long is said to be silent.
const PATIENCE: Duration = Duration::from_secs(3);
/// After so many moments the electors are asked for again.
const ASK_ELECTORS: u32 = 5;

impl Top {
    pub(crate) async fn run(&self, terminal: Terminal) -> Result<Found, Error> {
        if !terminal.live {
            return Err(Error::NoTerminal);
        }
        let session = self.connection.open(&self.place).await?;
        // What is wrong from the beginning is said on a whole screen, not behind one.
        let electors = Electors::ask(&session.cluster).await?;
        session.cluster.leases().await?;
        let mut screen = ratatui::try_init()?;
        let ended = self.show(&session.cluster, electors, &mut screen).await;
        ratatui::restore();
        io::stdout().flush()?;
        ended
    }

    async fn show(
        &self,
        cluster: &Cluster,
        electors: Electors,
        screen: &mut ratatui::DefaultTerminal,
    ) -> Result<Found, Error> {
        let mut model = Model::default();
        model.electors(electors);
        let mut leases = pin!(cluster.watch());
        let mut keys = EventStream::new();
        let mut moments = tokio::time::interval(MOMENT);
        // A machine that slept draws once, not for each second that it missed.
        moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut count) = (Seen::default(), 0_u32);
        // Requests run beside the keys: a server that hangs is shown, and left with `q`.
        let mut asked = pin!(Fuse::terminated());
        let mut stepped_down = pin!(Fuse::terminated());
        let mut since = Stopwatch::start();
        loop {
            tokio::select! {
                event = leases.next() => {
                    let listed = seen.is_complete();
                    model.complain(match seen.take(event) {
                        Ok(complaint) => complaint,
                        Err(error) => Some(error.to_string()),
                    });
                    // Thousands of renewals are drawn once in a moment; the first list at once.
                    if listed || !seen.is_complete() {
                        continue;
                    }
                    self.look(cluster, &seen, &mut model);
                }
                answer = &mut asked => {
                    model.silent(None);
                    match answer {
                        Ok(electors) => {
                            model.electors(electors);
                            model.complain(None);
                        }
                        Err(error) => model.complain(Some(Error::to_string(&error))),
                    }
                }
                said = &mut stepped_down => model.say(said),
                _ = moments.tick() => {
                    count = count.wrapping_add(1);
                    if asked.is_terminated() {
                        if count.is_multiple_of(ASK_ELECTORS) {
                            since = Stopwatch::start();
                            asked.set(Electors::ask(cluster).fuse());
                        }
                    } else if since.elapsed() >= PATIENCE {
                        model.silent(Some(since.elapsed()));
                    }
                    if seen.is_complete() {
                        self.look(cluster, &seen, &mut model);
                    }
                }
                input = keys.next() => match input {
                    Some(Ok(Input::Key(key))) if key.kind != KeyEventKind::Release => match meaning(key) {
                        Some(Key::Interrupt) => return Ok(Found::Answer),
                        _ if model.question().is_some() => {
                            if let Some(lease) = model.answer(key.code == KeyCode::Char('y')) {
                                model.say(format!("asking for {lease}…"));
                                stepped_down.set(step_down(cluster, lease, self.strategy).fuse());
                            }
                        }
                        Some(Key::Quit) => return Ok(Found::Answer),
                        Some(Key::Ask(ask)) => model.ask(ask),
                        None => continue,
                    },
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Ok(Found::Answer),
                },
            }
            let size = screen.size()?;
            model.resize(size.width, size.height);
            screen.draw(|frame| draw(frame, &model))?;
        }
    }

    fn look(&self, cluster: &Cluster, seen: &Seen, model: &mut Model) {
        let moment = Moment::of(cluster.clock.now(), seen.objects());
        model.look(Survey::new(seen.objects(), moment, self.strategy));
    }
}

/// What came of it, in a sentence.
async fn step_down(cluster: &Cluster, lease: LeaseKey, strategy: Strategy) -> String {
    let session = Session {
        cluster: cluster.clone(),
        namespace: lease.namespace().to_owned(),
        everywhere: false,
    };
    let steering = Steering::confirmed(strategy);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let wish = Wish::StepDown { to: None };
    let done = steering
        .carry_out(
            &session,
            lease.name(),
            &wish,
            Terminal::default(),
            &mut out,
            &mut err,
        )
        .await;
    let text = done.map_or_else(
        |error| error.to_string(),
        |_| String::from_utf8_lossy(&out).into_owned(),
    );
    text.lines().collect::<Vec<_>>().join(". ")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// Even while there is a question.
    Interrupt,
    Quit,
    Ask(Ask),
}

fn meaning(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => Some(Key::Interrupt),
        KeyCode::Char('q') => Some(Key::Quit),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Ask(Ask::Up)),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Ask(Ask::Down)),
        KeyCode::PageUp => Some(Key::Ask(Ask::PageUp)),
        KeyCode::PageDown | KeyCode::Char(' ') => Some(Key::Ask(Ask::PageDown)),
        KeyCode::Home | KeyCode::Char('g') => Some(Key::Ask(Ask::First)),
        KeyCode::End | KeyCode::Char('G') => Some(Key::Ask(Ask::Last)),
        KeyCode::Enter | KeyCode::Char('e') => Some(Key::Ask(Ask::Open)),
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => Some(Key::Ask(Ask::Close)),
        KeyCode::Char('p') => Some(Key::Ask(Ask::Problems)),
        KeyCode::Char('d') => Some(Key::Ask(Ask::StepDown)),
        _ => None,
    }
}
