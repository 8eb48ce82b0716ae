//! Draws the model: a table with a line of renewals for each lease, or the explanation of one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::{Model, Row};
use crate::table::seconds_in_words;

const KEYS: &str = " ↑↓ select   enter explain   d step down   p problems   q quit";
const KEYS_OPEN: &str = " ↑↓ scroll   esc back   q quit";

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    let electors = match &model.complaint {
        Some(complaint) => Span::styled(format!("  {complaint}"), Style::new().fg(Color::Red)),
        None if model.electors.are_down() => Span::styled(
            format!("  elector: {}", model.electors),
            Style::new().fg(Color::Red),
        ),
        None => Span::raw(format!("  elector: {}", model.electors)),
    };
    let problems = model.rows.iter().filter(|row| row.status.is_problem()).count();
    let plural = if model.rows.len() == 1 { "" } else { "s" };
    let title = format!(" {} election{plural}, {problems} with problems", model.rows.len());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::from(vec![Span::styled(title, bold), electors]), head);
    let keys = match model.text() {
        None => {
            table(frame, body, model);
            KEYS
        }
        Some((text, scrolled)) => {
            let text = Paragraph::new(text)
                .block(Block::bordered().title(" why "))
                .wrap(Wrap { trim: false })
                .scroll((scrolled, 0));
            frame.render_widget(text, body);
            KEYS_OPEN
        }
    };
    let foot_line = match (&model.asking, &model.said) {
        (Some((_, question)), _) => Line::styled(format!(" {question}"), bold.fg(Color::Yellow)),
        (None, Some(said)) => Line::raw(format!(" {said}")),
        (None, None) => Line::styled(keys, Style::new().add_modifier(Modifier::DIM)),
    };
    frame.render_widget(foot_line, foot);
}

fn table(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let cells: Vec<[String; 8]> = model.rows.iter().map(cells).collect();
    let width = |column: usize| {
        let widest = cells.iter().map(|cells| cells[column].chars().count()).max();
        widest.unwrap_or(0).max(HEAD[column].chars().count())
    };
    let fitting = |column: usize| Constraint::Length(u16::try_from(width(column)).unwrap_or(u16::MAX));
    // What does not fit is taken from the bars, and then from the right.
    let widths = (0..7).map(fitting).chain([Constraint::Fill(1)]);
    let rows = model.rows.iter().zip(&cells).map(|(row, cells)| {
        let styled = |(column, cell): (usize, &String)| {
            let style = if column == 2 {
                Style::new().fg(color(row))
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
    let selected = (!model.rows.is_empty()).then_some(model.selected);
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

fn cells(row: &Row) -> [String; 8] {
    let status = &row.status;
    let none = || "-".to_owned();
    [
        status.namespace.clone(),
        status.name.clone(),
        status.state_words(),
        status.holder.clone().unwrap_or_else(none),
        status.term.map_or_else(none, |term| term.to_string()),
        status.held_seconds.map_or_else(none, seconds_in_words),
        row.next.clone().unwrap_or_else(none),
        bars(&row.renewals),
    ]
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
