//! What it costs a publisher to ask whether somebody wants its event.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use loosely_benches::{Contest, Effort, bar};

use super::TicksPublisher;

/// Measures the question whether a symbol is wanted, with all that leads to the answer, among the
/// subscriptions that there are.
pub(crate) fn measure(
    effort: Effort,
    ticks: &TicksPublisher,
    symbols: &[String],
) -> Result<(), Box<dyn Error>> {
    if !wants(ticks, &symbols[0])? || wants(ticks, "nobody's")? {
        return Err("the interest is not what the subscriptions ask for".into());
    }
    let mut next = symbols.iter().cycle();
    let mut contest = Contest::new(Duration::from_millis(5));
    let asked = contest.enter(|| _ = next.next().map(|symbol| black_box(wants(ticks, symbol))));
    let results = contest.run(effort.share(Duration::from_secs(1)));
    let microseconds = results.nanoseconds(asked) / 1_000.0;
    bar("interest_1m_us", format!("{microseconds:.2}"));
    Ok(())
}

fn wants(ticks: &TicksPublisher, symbol: &str) -> loosely::Result<bool> {
    let interest = ticks.interest().method("event")?;
    Ok(interest.subscriptions() > 0 && interest.parameter("symbol")?.wants(symbol))
}
