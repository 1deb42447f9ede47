//! What a bench prints.

use std::fmt;
use std::fs;
use std::thread::available_parallelism;

/// Rows of cells under named columns; a cell that nobody set is a dash.
#[derive(Debug)]
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<String>>)>,
}

impl Table {
    /// Returns a table without rows.
    pub fn new<C: Into<String>>(
        title: impl Into<String>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            title: title.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Sets a cell; a row comes into being with its first cell. A column that does not exist is
    /// left out.
    pub fn set(&mut self, row: &str, column: usize, cell: impl fmt::Display) {
        let width = self.columns.len();
        let at = self.rows.iter().position(|(name, _)| name == row);
        let at = at.unwrap_or_else(|| {
            self.rows.push((row.to_owned(), vec![None; width]));
            self.rows.len() - 1
        });
        if let Some(place) = self.rows[at].1.get_mut(column) {
            *place = Some(cell.to_string());
        }
    }

    fn widths(&self) -> (usize, Vec<usize>) {
        let names = self.rows.iter().map(|(name, _)| name.len());
        let columns = self.columns.iter().enumerate().map(|(i, title)| {
            let cells = self.rows.iter().filter_map(|(_, cells)| cells[i].as_ref());
            cells.map(String::len).max().unwrap_or(0).max(title.len())
        });
        let first = names.max().unwrap_or(0).max(self.title.len());
        (first, columns.collect())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, widths) = self.widths();
        write!(f, "{:first$}", self.title)?;
        for (title, width) in self.columns.iter().zip(&widths) {
            write!(f, "  {title:>width$}")?;
        }
        writeln!(f)?;
        for (name, cells) in &self.rows {
            write!(f, "{name:first$}")?;
            for (cell, width) in cells.iter().zip(&widths) {
                write!(f, "  {:>width$}", cell.as_deref().unwrap_or("-"))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Prints a number that has to stay within bounds, in the form that programs read.
pub fn bar(name: &str, value: impl fmt::Display) {
    println!("bar: {name} {value}");
}

/// Returns a line on the machine: the processor, its cores, the system, and the load beside us.
pub fn machine() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let processor = processor.unwrap_or_else(|| "unknown processor".to_owned());
    let cores = available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string());
    let load = fs::read_to_string("/proc/loadavg").ok();
    let load = load.as_deref().and_then(|text| text.split(' ').next());
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!(
        "{processor} ({arch}), {cores} cores, {os}, load {} at the start",
        load.unwrap_or("unknown")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_a_missing_cell_is_a_dash() {
        let mut table = Table::new("ns", ["n=1", "n=10"]);
        table.set("loop", 0, "1.5");
        table.set("loop", 1, "12345.5");
        table.set("a peer", 0, 2);
        let expected = concat!(
            "ns      n=1     n=10\n",
            "loop    1.5  12345.5\n",
            "a peer    2        -\n",
        );
        assert_eq!(table.to_string(), expected);
    }
}
