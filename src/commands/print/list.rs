//! Lists: a row for each thing, and the text that matters most in the room that is left, or below its row.

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width};

use super::terminal_width;

/// Columns between two columns.
const GAP: usize = 2;

/// The indent of a text that stands below its row.
const INDENT: usize = 4;

/// The room that other columns give up for the text: a file name, or the beginning of an error.
const TEXT_WANTED: usize = 40;

/// The room of the text in a pipe, where nothing stands below its row, even if that cuts what else would be whole.
const TEXT_MIN: usize = 20;

/// The length to which an id is cut at most, for [`TEXT_MIN`].
const ID_MIN: usize = 8;

/// The columns of a day, `2026-11-22`.
const DAY: usize = 10;

/// A column before the text.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Column {
    /// Shown whole: it is typed into the next command, or says how the thing stands.
    Whole(&'static str),
    /// Cut where room is short, to as few columns as these.
    Short(&'static str, usize),
    /// A time to the minute; its day alone where room is short.
    Time(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Whole(title) | Self::Short(title, _) | Self::Time(title) => title,
        }
    }

    /// Returns the columns it keeps in any case, of those it would like to have.
    fn least(self, natural: usize) -> usize {
        match self {
            Self::Whole(_) => natural,
            Self::Short(title, least) => natural.min(least.max(title.len())),
            Self::Time(_) => natural.min(DAY),
        }
    }
}

/// The place where a list is shown.
#[derive(Debug, Clone, Copy)]
struct Screen {
    columns: usize,
    /// A person looks at it. In a pipe each thing is one line, and what does not fit is cut.
    is_terminal: bool,
}

/// A list of things.
#[derive(Debug)]
pub(in super::super) struct List<const COLUMNS: usize> {
    columns: [Column; COLUMNS],
    /// The title of the text, which comes last.
    text: &'static str,
    rows: Vec<([String; COLUMNS], String)>,
}

impl<const COLUMNS: usize> List<COLUMNS> {
    /// Returns a list without rows. The last column is the text, which gets the room.
    pub(in super::super) fn new(columns: [Column; COLUMNS], text: &'static str) -> Self {
        Self { columns, text, rows: Vec::new() }
    }

    /// Adds a thing.
    pub(in super::super) fn add(&mut self, cells: [String; COLUMNS], text: String) {
        self.rows.push((cells, text));
    }

    /// Prints it without trailing spaces, as wide as the terminal; 80 columns in a pipe.
    pub(in super::super) fn show(&self) -> std::io::Result<()> {
        let screen = Screen { columns: terminal_width().into(), is_terminal: super::is_shown() };
        self.render_lines(screen).iter().try_for_each(|row| super::line(row))
    }

    fn render_lines(&self, screen: Screen) -> Vec<String> {
        let widths = self.column_widths(screen);
        let room = screen.columns.saturating_sub(width_taken(&widths)).max(1);
        let fits = |text: &str| columns_of(text) <= room;
        let mut table = Table::new();
        let titles = self.columns.iter().map(|column| column.title()).chain([self.text]);
        table.add_row(one_line_row(titles.map(str::to_uppercase).collect()));
        for (cells, text) in &self.rows {
            let cells =
                self.columns.iter().zip(cells).zip(&widths).map(|((column, cell), width)| {
                    match column {
                        Column::Time(_) if columns_of(cell) > *width => {
                            cell.chars().take(*width).collect()
                        }
                        Column::Time(_) | Column::Short(..) | Column::Whole(_) => cell.clone(),
                    }
                });
            let beside =
                if fits(text) || !screen.is_terminal { text.clone() } else { String::new() };
            table.add_row(one_line_row(cells.chain([beside]).collect()));
        }
        set_widths(&mut table, &widths, room);
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        for (index, line) in table.lines().enumerate() {
            lines.push(line.trim_end().to_owned());
            let text =
                index.checked_sub(1).and_then(|row| self.rows.get(row)).map(|(_, text)| text);
            if let Some(text) = text.filter(|text| screen.is_terminal && !fits(text)) {
                lines.extend(wrap_text(text, screen.columns.saturating_sub(INDENT).max(TEXT_MIN)));
            }
        }
        lines
    }

    /// Returns the widths of the columns before the text: what they would like, less what the text needs more.
    fn column_widths(&self, screen: Screen) -> [usize; COLUMNS] {
        let natural: [usize; COLUMNS] = std::array::from_fn(|index| {
            let cells = self.rows.iter().map(|(cells, _)| columns_of(&cells[index]));
            cells.chain([self.columns[index].title().len()]).max().unwrap_or_default()
        });
        let longest = self.rows.iter().map(|(_, text)| columns_of(text)).max().unwrap_or_default();
        let wanted = longest.clamp(self.text.len(), TEXT_WANTED);
        let mut widths = natural;
        let missing = |widths: &[usize], wanted: usize| {
            (width_taken(widths) + wanted).saturating_sub(screen.columns)
        };
        // The minutes go first, then the longest name.
        for (width, column) in widths.iter_mut().zip(self.columns) {
            if matches!(column, Column::Time(_)) && missing(&natural, wanted) > 0 {
                *width = column.least(*width);
            }
        }
        let least: [usize; COLUMNS] =
            std::array::from_fn(|index| self.columns[index].least(natural[index]));
        let short_of = missing(&widths, wanted);
        shrink_columns(&mut widths, &least, short_of);
        if !screen.is_terminal {
            let least: [usize; COLUMNS] = std::array::from_fn(|index| widths[index].min(ID_MIN));
            let short_of = missing(&widths, wanted.min(TEXT_MIN));
            shrink_columns(&mut widths, &least, short_of);
        }
        widths
    }
}

/// Takes `missing` columns from the widest columns first, and from none more than it can give.
fn shrink_columns(widths: &mut [usize], least: &[usize], missing: usize) {
    for _ in 0..missing {
        let widest = (0..widths.len())
            .filter(|index| widths[*index] > least[*index])
            .max_by_key(|index| widths[*index]);
        let Some(index) = widest else { return };
        widths[index] -= 1;
    }
}

fn width_taken(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + GAP).sum()
}

/// Returns the columns that a text takes on a terminal.
fn columns_of(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let mut table = Table::new();
    table.add_row([text]);
    table.column_max_content_widths().first().copied().unwrap_or_default().into()
}

/// Gives a table the widths of its columns: those before the text, and that of the text.
fn set_widths(table: &mut Table, widths: &[usize], room: usize) {
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(narrow_width(width_taken(widths) + room));
    let gaps = widths.iter().map(|width| (*width, GAP)).chain([(room, 0)]);
    for (column, (width, gap)) in table.column_iter_mut().zip(gaps) {
        column.set_padding((0, narrow_width(gap)));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(narrow_width(width + gap))));
    }
}

fn narrow_width(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

fn one_line_row(cells: Vec<String>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

/// Returns a text on as many lines as it needs, standing in.
fn wrap_text(text: &str, columns: usize) -> Vec<String> {
    let mut table = Table::new();
    table.add_row([text]);
    set_widths(&mut table, &[], columns);
    table.lines().map(|line| format!("{:INDENT$}{}", "", line.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `source list` shows of a recording that came, one that waits, and one that cannot be had.
    fn list() -> List<5> {
        let columns = [
            Column::Short("source", 8),
            Column::Whole("recording"),
            Column::Time("ended"),
            Column::Whole("state"),
            Column::Whole("job"),
        ];
        let mut list = List::new(columns, "what");
        let mut add = |id: &str, state: &str, job: &str, text: &str| {
            let cells = ["meetingbaas", id, "2026-11-22 10:30Z", state, job].map(str::to_owned);
            list.add(cells, text.to_owned());
        };
        add("6b0c3f1e-0000-4000-8000-000000000001", "placed", "12", "Weekly.mp3");
        add(
            "6b0c3f1e-0000-4000-8000-000000000002",
            "placed",
            "13",
            "Quarterly review with everyone in the north 会議.mp3",
        );
        add(
            "6b0c3f1e-0000-4000-8000-000000000003",
            "failed",
            "",
            "the vendor does not have it any more: it keeps recordings for 3 days, and this one ended 9 days ago; see the \
             vendor's own pages",
        );
        list
    }

    fn shown(list: &List<5>, columns: usize, is_terminal: bool) -> String {
        let lines = list.render_lines(Screen { columns, is_terminal });
        for line in &lines {
            assert!(columns_of(line) <= columns && line == line.trim_end(), "{columns}: {line:?}");
        }
        lines.join("\n")
    }

    #[test]
    fn a_narrow_terminal_has_the_text_below_its_row() {
        insta::assert_snapshot!(shown(&list(), 80, true), @r"
        SOURCE    RECORDING                             ENDED       STATE   JOB  WHAT
        meeting…  6b0c3f1e-0000-4000-8000-000000000001  2026-11-22  placed  12
            Weekly.mp3
        meeting…  6b0c3f1e-0000-4000-8000-000000000002  2026-11-22  placed  13
            Quarterly review with everyone in the north 会議.mp3
        meeting…  6b0c3f1e-0000-4000-8000-000000000003  2026-11-22  failed
            the vendor does not have it any more: it keeps recordings for 3 days, and
            this one ended 9 days ago; see the vendor's own pages
        ");
    }

    #[test]
    fn a_wider_terminal_has_short_texts_beside_and_long_ones_below() {
        insta::assert_snapshot!(shown(&list(), 100, true), @r"
        SOURCE    RECORDING                             ENDED       STATE   JOB  WHAT
        meeting…  6b0c3f1e-0000-4000-8000-000000000001  2026-11-22  placed  12   Weekly.mp3
        meeting…  6b0c3f1e-0000-4000-8000-000000000002  2026-11-22  placed  13
            Quarterly review with everyone in the north 会議.mp3
        meeting…  6b0c3f1e-0000-4000-8000-000000000003  2026-11-22  failed
            the vendor does not have it any more: it keeps recordings for 3 days, and this one ended 9 days
            ago; see the vendor's own pages
        ");
    }

    #[test]
    fn a_wide_terminal_has_what_fits_in_one_line() {
        insta::assert_snapshot!(shown(&list(), 160, true), @r"
        SOURCE       RECORDING                             ENDED              STATE   JOB  WHAT
        meetingbaas  6b0c3f1e-0000-4000-8000-000000000001  2026-11-22 10:30Z  placed  12   Weekly.mp3
        meetingbaas  6b0c3f1e-0000-4000-8000-000000000002  2026-11-22 10:30Z  placed  13   Quarterly review with everyone in the north 会議.mp3
        meetingbaas  6b0c3f1e-0000-4000-8000-000000000003  2026-11-22 10:30Z  failed
            the vendor does not have it any more: it keeps recordings for 3 days, and this one ended 9 days ago; see the vendor's own pages
        ");
    }

    #[test]
    fn in_a_pipe_each_thing_is_a_line_and_its_text_is_not_left_without_room() {
        let shown = shown(&list(), 80, false);
        assert_eq!(shown.lines().count(), 4);
        insta::assert_snapshot!(shown, @r"
        SOURCE    RECORDING                ENDED       STATE   JOB  WHAT
        meeting…  6b0c3f1e-0000-4000-800…  2026-11-22  placed  12   Weekly.mp3
        meeting…  6b0c3f1e-0000-4000-800…  2026-11-22  placed  13   Quarterly review…
        meeting…  6b0c3f1e-0000-4000-800…  2026-11-22  failed       the vendor does not…
        ");
    }

    #[test]
    fn no_screen_is_too_narrow() {
        for columns in [1, 5, 20, 40, 60] {
            let lines = list().render_lines(Screen { columns, is_terminal: true });
            let words = lines.join(" ").replace(' ', "");
            assert!(words.contains("seethevendor'sownpages"), "{columns}: {lines:#?}");
        }
    }
}
