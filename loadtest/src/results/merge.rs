//! Runs of several processes or machines that went on at the same time, added up.

use super::Run;

/// Runs that began further apart than this were not one load.
const APART: f64 = 5.0;

/// Adds up runs of the same scenario. Their windows are matched by the clocks of their machines.
pub(crate) fn merge(mut runs: Vec<Run>) -> Result<Run, String> {
    runs.sort_by(|one, other| one.began.total_cmp(&other.began));
    let mut runs = runs.into_iter();
    let mut sum = runs.next().ok_or_else(|| "there is no run to add up".to_owned())?;
    let mut rates = Vec::from_iter(sum.options.rate.clone());
    let mut names = vec![sum.options.run.clone()];
    for run in runs {
        check(&sum, &run)?;
        let shift = ((run.began - sum.began) / sum.window).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it began at most 5 s later")]
        sum.recording.add(run.recording.clone(), shift as usize);
        add_ticks(&mut sum, &run);
        sum.seconds = sum.seconds.max(run.seconds + run.began - sum.began);
        sum.is_cut_short |= run.is_cut_short;
        sum.options.connections += run.options.connections;
        sum.options.threads += run.options.threads;
        sum.options.users += run.options.users;
        rates.extend(run.options.rate);
        names.push(run.options.run);
        sum.generators.extend(run.generators);
    }
    sum.options.rate = (!rates.is_empty()).then(|| rates.join(" + "));
    sum.options.run = names.join(" + ");
    Ok(sum)
}

fn check(sum: &Run, run: &Run) -> Result<(), String> {
    let names = format!("runs {} and {}", sum.options.run, run.options.run);
    if sum.options.scenario != run.options.scenario {
        return Err(format!("{names} are of the scenarios {} and {}", sum.options.scenario, run.options.scenario));
    }
    if sum.options.rate.is_some() != run.options.rate.is_some() {
        return Err(format!("{names}: one is an open loop, the other a closed one"));
    }
    if (sum.window - run.window).abs() > 1e-9 || (sum.options.duration - run.options.duration).abs() > 1e-9 {
        return Err(format!("{names} are not of the same duration"));
    }
    // Each may be a sum itself.
    if let Some(twice) = run.options.run.split(" + ").find(|name| sum.options.run.split(" + ").any(|it| it == *name)) {
        return Err(format!("run {twice} is given twice"));
    }
    let apart = (run.began - sum.began).abs();
    if apart > APART { Err(format!("{names} began {apart:.0} s apart: they were not one load")) } else { Ok(()) }
}

/// The generators' CPU adds up. The service said the same to all of them: what the first run has, counts.
fn add_ticks(sum: &mut Run, run: &Run) {
    if sum.service.is_none() {
        sum.service.clone_from(&run.service);
    }
    let is_one_machine =
        sum.generators.iter().any(|generator| Some(&generator.machine) == run.generators.first().map(|it| &it.machine));
    for tick in &mut sum.ticks {
        let at = tick.at + sum.began - run.began;
        let nearest = run.ticks.iter().min_by(|one, other| (one.at - at).abs().total_cmp(&(other.at - at).abs()));
        let Some(nearest) = nearest else { continue };
        tick.generator_cpu += nearest.generator_cpu;
        if tick.scrape.is_none() {
            tick.scrape.clone_from(&nearest.scrape);
        }
        if !is_one_machine {
            // The busiest machine is the one that matters.
            tick.busy = tick.busy.into_iter().chain(nearest.busy).reduce(f64::max);
            tick.stolen = tick.stolen.into_iter().chain(nearest.stolen).reduce(f64::max);
        }
    }
}
