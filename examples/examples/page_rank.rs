//! Ranks pages by the links between them, until no rank moves any more:
//! `cargo run -p eddyline-examples --example page_rank -- -p 2 -- FILE…`, with a line `FROM TO` per link; without files,
//! a small web.

use eddyline::dataset::SortBy;
use eddyline::{Collector, DataSet, Environment, Result, WatermarkStrategy};
use eddyline_connectors::files::{TextFiles, TextLine};

const DAMPING: f64 = 0.85;
/// A rank that moves by less stands still.
const CHANGE_MIN: f64 = 1e-4;
const ROUNDS_MAX: u32 = 40;

type Link = (u64, u64);
type Rank = (u64, f64);

fn links(environment: &Environment) -> DataSet<Link> {
    let files = environment.arguments();
    if files.is_empty() {
        let web = vec![(1, 2), (1, 3), (2, 3), (3, 1), (4, 3), (5, 4), (5, 1)];
        return environment.from_collection(web).bounded();
    }
    let files = TextFiles::new(files);
    let lines =
        environment.from_source("links", move || files.read_lines(), WatermarkStrategy::no_watermarks());
    let links = lines.flat_map(|line: TextLine, out: &mut Collector<Link>| {
        let mut numbers = line.line.split_whitespace().map_while(|word| word.parse().ok());
        if let (Some(from), Some(to)) = (numbers.next(), numbers.next()) {
            out.collect((from, to));
        }
    });
    links.bounded()
}

/// Each page gives its rank away in equal shares to the pages it links to.
fn step(ranks: &DataSet<Rank>, links: &DataSet<(u64, Vec<u64>)>) -> DataSet<Rank> {
    let shares = ranks.join(links, |rank| rank.0, |links| links.0);
    let shares = shares.inner(|rank, links| (links.1.clone(), DAMPING * rank.1 / links.1.len() as f64));
    let shares = shares.flat_map(|(targets, share): (Vec<u64>, f64), out: &mut Collector<Rank>| {
        targets.into_iter().for_each(|target| out.collect((target, share)));
    });
    let base = ranks.map(|(page, _)| (page, 1.0 - DAMPING));
    shares.union(&base).group_by(|share| share.0).sum(|share| share.1)
}

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let all = links(&environment);
    let pages = all.map(|link| link.0).union(&all.map(|link| link.1)).distinct();
    let by_page =
        all.group_by(|link| link.0).reduce_group(|page, links, out: &mut Collector<(u64, Vec<u64>)>| {
            out.collect((*page, links.map(|link| link.1).collect()));
        });
    let ranks = pages.map(|page| (page, 1.0)).iterate_until(ROUNDS_MAX, |ranks| {
        let next = step(ranks, &by_page);
        let moved = next.join(ranks, |rank| rank.0, |rank| rank.0);
        let moved = moved.inner(|next, rank| (next.1 - rank.1).abs()).filter(|change| *change > CHANGE_MIN);
        (next, moved)
    });
    ranks
        .sort_by(SortBy::comparing(|one: &Rank, other| other.1.total_cmp(&one.1)))
        .map(|(page, rank)| format!("{rank:8.4} {page}"))
        .print();
    environment.execute("page-rank")?;
    Ok(())
}
