//! The tables, and their place in docs/performance.md.
use super::figures::{Figure, Spread, Turn, compare, together};
use crate::{
    error::{Context, Result},
    workspace::Workspace,
};
use std::{fmt::Write, fs};

const PAGE: &str = "docs/performance.md";
const END: &str = "<!-- end of figures -->";

/// What was measured on one kind of database.
pub(super) struct Measured {
    pub(super) database: String,
    /// The file system that it is on.
    pub(super) disk: String,
    /// Whether it is a process of its own, with time of its own.
    pub(super) has_server: bool,
    pub(super) groups: Vec<Group>,
}

/// One load. The first shop is what the others are compared with.
pub(super) struct Group {
    pub(super) load: &'static str,
    pub(super) buyers: usize,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) shop: &'static str,
    pub(super) turns: Vec<Turn>,
}

pub(super) fn text(facts: &str, extent: &str, all: &[Measured]) -> String {
    let mut text = format!("{facts}- {extent}\n");
    for measured in all {
        let _ = write!(text, "\n### {}, on {}\n\n", measured.database, measured.disk);
        text.push_str(&measured.figures());
        text.push('\n');
        text.push_str(&measured.ratios());
    }
    text
}

impl Measured {
    /// All rounds together.
    fn figures(&self) -> String {
        let mut table = Table::new(&[
            "load",
            "buyers",
            "shop",
            "samples",
            "calls",
            "a second",
            "p50 ms",
            "p99 ms",
            "CPU ms",
            "PostgreSQL's CPU ms",
        ]);
        for group in &self.groups {
            for row in &group.rows {
                let all = together(&row.turns);
                let database = if self.has_server { format!("{:.2}", all.database_cpu()) } else { String::new() };
                table.row([
                    group.load.to_owned(),
                    group.buyers.to_string(),
                    row.shop.to_owned(),
                    all.took.len().to_string(),
                    format!("{:.1}", all.calls()),
                    format!("{:.0}", all.rate()),
                    format!("{:.2}", all.p50()),
                    format!("{:.2}", all.p99()),
                    format!("{:.2}", all.shop_cpu()),
                    database,
                ]);
            }
        }
        table.text
    }

    /// Round by round.
    fn ratios(&self) -> String {
        let mut table = Table::new(&[
            "load",
            "buyers",
            "shop : shop",
            "p50",
            "p99",
            "a second",
            "CPU",
            "p50 more, ms",
            "CPU more a call, ms",
        ]);
        for group in &self.groups {
            let against_first = (1..group.rows.len()).map(|one| (one, 0));
            // What TLS adds, and what the gateway does.
            let against_last = (2..group.rows.len()).map(|one| (one, one - 1));
            for (one, base) in against_first.chain(against_last) {
                let (one, base) = (&group.rows[one], &group.rows[base]);
                let ratio = |figure: Figure| {
                    told(&compare(&one.turns, &base.turns, |one, base| figure(one) / figure(base)), "×", 2)
                };
                let slower = compare(&one.turns, &base.turns, |one, base| one.p50() - base.p50());
                let a_call =
                    compare(&one.turns, &base.turns, |one, base| (one.shop_cpu() - base.shop_cpu()) / one.calls());
                let in_process = base.turns.iter().all(|turn| turn.calls == 0);
                table.row([
                    group.load.to_owned(),
                    group.buyers.to_string(),
                    format!("{} : {}", one.shop, base.shop),
                    ratio(Turn::p50),
                    ratio(Turn::p99),
                    ratio(Turn::rate),
                    ratio(Turn::shop_cpu),
                    told(&slower, "", 2),
                    if in_process { told(&a_call, "", 2) } else { String::new() },
                ]);
            }
        }
        table.text
    }
}

/// The median round, and the ends.
fn told(spread: &Spread, sign: &str, digits: usize) -> String {
    let Spread { low, median, high } = spread;
    format!("{sign}{median:.digits$} ({low:.digits$} to {high:.digits$})")
}

struct Table {
    text: String,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self { text: format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len())) }
    }
    fn row<const N: usize>(&mut self, cells: [String; N]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

/// Of the bench of this name.
pub(super) fn write(workspace: &Workspace, bench: &str, figures: &str) -> Result<()> {
    let (page, begin) = (workspace.file(PAGE)?, begin(bench));
    let page = replaced(&page, &begin, figures).context(format_args!("{PAGE} lacks `{}` and `{END}`", begin.trim()))?;
    fs::write(workspace.root.join(PAGE), page).context(format_args!("cannot write {PAGE}"))?;
    println!("written into {PAGE}");
    Ok(())
}

fn begin(bench: &str) -> String {
    format!("<!-- figures: written by cargo xtask bench {bench} --write -->\n")
}

/// What stands between the marks gives way.
fn replaced(page: &str, begin: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{begin}\n{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(shop: &'static str, milliseconds: u64, calls: u64) -> Row {
        let took = vec![Duration::from_millis(milliseconds); 100];
        let (lasted, cpu) = (Duration::from_secs(1), Duration::from_millis(100 * milliseconds));
        Row { shop, turns: vec![Turn { took, lasted, shop: cpu, database: cpu, calls }] }
    }

    #[test]
    fn shops_are_compared_with_the_first_and_with_the_one_before() {
        let rows = vec![row("one", 2, 0), row("two", 3, 100), row("three", 6, 200)];
        let groups = vec![Group { load: "page", buyers: 8, rows }];
        let measured = Measured { database: "D".into(), disk: "ext4".into(), has_server: true, groups };
        let figures = measured.figures();
        assert!(figures.contains("| page | 8 | three | 100 | 2.0 | 100 | 6.00 | 6.00 | 6.00 | 6.00 |"), "{figures}");
        let ratios = measured.ratios();
        let line = |pair: &str| ratios.lines().find(|line| line.contains(pair)).unwrap();
        assert_eq!(ratios.lines().count(), 2 + 3);
        assert!(line("| two : one |").contains("×1.50 (1.50 to 1.50)"), "{ratios}");
        assert!(line("| three : one |").ends_with("| 4.00 (4.00 to 4.00) | 2.00 (2.00 to 2.00) |"), "{ratios}");
        assert!(line("| three : two |").ends_with("| 3.00 (3.00 to 3.00) |  |"), "{ratios}");
    }

    #[test]
    fn figures_take_the_place_of_earlier_ones() {
        let (one, other) = (begin("speed"), begin("topologies"));
        let page = format!("# Page\n\n{other}\nother\n\n{END}\n\n{one}\nold\n\n{END}\n\nafter\n");
        let new = replaced(&page, &one, "| new |\n").unwrap();
        let expected = format!("# Page\n\n{other}\nother\n\n{END}\n\n{one}\n| new |\n\n{END}\n\nafter\n");
        assert_eq!(new, expected);
        assert_eq!(replaced(&new, &one, "| new |\n").unwrap(), new);
        assert!(replaced("# Page", &one, "| new |").is_none());
    }
}
