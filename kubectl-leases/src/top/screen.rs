//! Draws the model: a table with a line of renewals for each lease, or the explanation of one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::{Model, Row};
use crate::electors::Electors;
use crate::table::seconds_in_words;
use crate::words::{plain, wrapped};

const KEYS: &str = "↑↓ select   enter explain   d step down   p problems   q quit";
const KEYS_OPEN: &str = "↑↓ scroll   esc back   q quit";

/// Draws everything. The size of the frame is what the model was told.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let (head_text, foot_text) = (head_text(model), foot_text(model));
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(lines(&head_text)),
        Constraint::Min(1),
        Constraint::Length(lines(&foot_text)),
    ])
    .areas(frame.area());
    for (text, area) in [(head_text, head), (foot_text, foot)] {
        frame.render_widget(Paragraph::new(text.text).style(text.style), area);
    }
    match model.text() {
        None => table(frame, body, model),
        Some((text, scrolled)) => {
            let text = Paragraph::new(text)
                .block(Block::new().borders(Borders::TOP).title(" why "))
                .wrap(Wrap { trim: false })
                .scroll((scrolled, 0));
            frame.render_widget(text, body);
        }
    }
}

/// How many lines are around a table or a text: head, foot, and the line of column names or of the title.
pub(super) fn around(model: &Model) -> u16 {
    lines(&head_text(model)) + lines(&foot_text(model)) + 1
}

fn lines(text: &Text) -> u16 {
    u16::try_from(text.text.lines().count().max(1)).unwrap_or(u16::MAX)
}

/// What a person has to read whole: it takes as many lines as it needs.
struct Text {
    text: String,
    style: Style,
}

fn whole(model: &Model, text: &str, style: Style) -> Text {
    let columns = usize::from(model.size.0).saturating_sub(1);
    Text {
        text: format!(" {}", wrapped(text, columns, " ")),
        style,
    }
}

fn head_text(model: &Model) -> Text {
    let problems = model.rows.iter().filter(|row| row.status.is_problem()).count();
    let plural = if model.rows.len() == 1 { "" } else { "s" };
    let title = format!("{} election{plural}, {problems} with problems", model.rows.len());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (said, well) = match (model.silent, &model.complaint) {
        (Some(silent), _) => {
            let silent = seconds_in_words(silent.as_secs());
            (format!("STALE: the server has not answered for {silent}"), false)
        }
        (None, Some(complaint)) => (complaint.clone(), false),
        (None, None) => {
            let said = match &model.electors {
                Electors::Acting {
                    identity,
                    renewed_seconds_ago: Some(seconds),
                } => format!(
                    "elector: {identity} acts, renewed {} ago",
                    seconds_in_words(*seconds)
                ),
                electors => format!("elector: {electors}"),
            };
            (said, !model.electors.are_down())
        }
    };
    let style = if well { bold } else { bold.fg(Color::Red) };
    whole(model, &format!("{title}; {said}"), style)
}

/// The question, else what was done, else the keys.
fn foot_text(model: &Model) -> Text {
    match (&model.asking, &model.said) {
        (Some((_, question)), _) => {
            let style = Style::new().add_modifier(Modifier::BOLD).fg(Color::Yellow);
            whole(model, question, style)
        }
        (None, Some(said)) => whole(model, said, Style::new()),
        (None, None) => {
            let keys = if model.open.is_some() { KEYS_OPEN } else { KEYS };
            whole(model, keys, Style::new().add_modifier(Modifier::DIM))
        }
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let (shown, first) = model.shown();
    let cells: Vec<[String; 8]> = shown.iter().map(|row| cells(model, row)).collect();
    let width = |column: usize| {
        let widest = cells.iter().map(|cells| cells[column].chars().count()).max();
        widest.unwrap_or(0).max(HEAD[column].chars().count())
    };
    let fitting = |column: usize| Constraint::Length(u16::try_from(width(column)).unwrap_or(u16::MAX));
    // What does not fit is taken from the bars, and then from the right.
    let widths = (0..7).map(fitting).chain([Constraint::Fill(1)]);
    let rows = shown.iter().zip(&cells).map(|(row, cells)| {
        let styled = |(column, cell): (usize, &String)| {
            let style = if column == 2 {
                Style::new().fg(if model.is_stale() {
                    Color::DarkGray
                } else {
                    color(row)
                })
            } else {
                Style::new()
            };
            Line::styled(cell.clone(), style)
        };
        TableRow::new(cells.iter().enumerate().map(styled))
    });
    let table = Table::new(rows, widths)
        .column_spacing(2)
        .header(TableRow::new(HEAD).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let selected = (!shown.is_empty()).then_some(model.selected - first);
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

const HEAD: [&str; 8] = [
    "NAMESPACE",
    "LEASE",
    "STATE",
    "LEADER",
    "TERM",
    "SINCE",
    "NEXT",
    "SILENCE",
];

fn cells(model: &Model, row: &Row) -> [String; 8] {
    let status = &row.status;
    let none = || "-".to_owned();
    let cells = [
        status.namespace.clone(),
        status.name.clone(),
        status.state_words(),
        status.holder.clone().unwrap_or_else(none),
        status.term.map_or_else(none, |term| term.to_string()),
        status.held_seconds.map_or_else(none, seconds_in_words),
        model.next(row).unwrap_or_else(none),
        bars(&row.renewals),
    ];
    cells.map(|cell| plain(&cell).into_owned())
}

fn color(row: &Row) -> Color {
    let status = &row.status;
    if status.is_problem() {
        Color::Red
    } else if status.state == "Held" && status.conditions.is_empty() {
        Color::Green
    } else {
        Color::Yellow
    }
}

/// A bar for each moment: the longer nobody renewed, the higher.
fn bars(renewals: &[u64]) -> String {
    const BARS: [char; 9] = ['▁', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    renewals
        .iter()
        .map(|eighths| BARS[usize::try_from(*eighths).unwrap_or(8).min(8)])
        .collect()
}
