//! Text in columns.

/// Rows as lines: each column as wide as its widest cell, two spaces between, none at the end.
pub(crate) fn text<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let start = text.len();
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(cell);
            let gap = width + 2 - cell.chars().count();
            text.extend(std::iter::repeat_n(' ', gap));
        }
        let end = start + text[start..].trim_end().len();
        text.truncate(end);
        text.push('\n');
    }
    text
}
