//! `kubectl leases top`: the terminal, its keys, and the watch behind what it shows.

use std::io::{self, Write as _};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use election_core::{LeaseKey, Strategy};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;

use super::steering::Steering;
use crate::cli::{Found, Terminal};
use crate::cluster::{Cluster, Error};
use crate::connection::{Connection, Place, Session};
use crate::electors::Electors;
use crate::follow::Seen;
use crate::moment::Moment;
use crate::steer::Wish;
use crate::survey::Survey;
use crate::top::screen::draw;
use crate::top::{Ask, Model};

const HELP: &str = "\
Examples:
  # Every election of the cluster.
  kubectl leases top -A

Keys: up and down (or k and j) select, enter (or e) explains, esc goes back,
d asks the leader to step down, p shows only problems, q (or ctrl-c) quits.

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
        let (mut seen, mut count) = (Seen::<Lease>::default(), 0_u32);
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
                _ = moments.tick() => {
                    count = count.wrapping_add(1);
                    if count.is_multiple_of(ASK_ELECTORS) {
                        match Electors::ask(cluster).await {
                            Ok(electors) => model.electors(electors),
                            Err(error) => model.complain(Some(error.to_string())),
                        }
                    }
                    if seen.is_complete() {
                        self.look(cluster, &seen, &mut model);
                    }
                }
                input = keys.next() => match input {
                    Some(Ok(Input::Key(key))) if key.kind != KeyEventKind::Release && model.question().is_some() => {
                        if let Some(lease) = model.answer(key.code == KeyCode::Char('y')) {
                            let said = step_down(cluster, &lease).await;
                            model.say(said);
                        }
                    }
                    Some(Ok(Input::Key(key))) if key.kind != KeyEventKind::Release => match meaning(key) {
                        Some(Key::Quit) => return Ok(Found::Answer),
                        Some(Key::Ask(ask)) => model.ask(ask),
                        None => continue,
                    },
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Ok(Found::Answer),
                },
            }
            screen.draw(|frame| draw(frame, &model))?;
        }
    }

    fn look(&self, cluster: &Cluster, seen: &Seen<Lease>, model: &mut Model) {
        let moment = Moment::of(cluster.clock.now(), seen.objects());
        model.look(Survey::new(seen.objects(), moment, self.strategy));
    }
}

/// What came of it, in a line.
async fn step_down(cluster: &Cluster, lease: &LeaseKey) -> String {
    let session = Session {
        cluster: cluster.clone(),
        namespace: lease.namespace().to_owned(),
        everywhere: false,
    };
    let steering = Steering::confirmed(Strategy::default());
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
    text.lines().next().unwrap_or_default().to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Quit,
    Ask(Ask),
}

fn meaning(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => Some(Key::Quit),
        KeyCode::Char('q') => Some(Key::Quit),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Ask(Ask::Up)),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Ask(Ask::Down)),
        KeyCode::Enter | KeyCode::Char('e') => Some(Key::Ask(Ask::Open)),
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => Some(Key::Ask(Ask::Close)),
        KeyCode::Char('p') => Some(Key::Ask(Ask::Problems)),
        KeyCode::Char('d') => Some(Key::Ask(Ask::StepDown)),
        _ => None,
    }
}
