//! Many schedulers on one store, from seeds.

mod mutants;

use std::fs;
use std::path::Path;

use asyncz::testing::{FaultyStore, Invariant, Simulation};

use mutants::{Broken, Mutant};

/// The simulation of a seed, as the tests and `tests/data/simulation-seeds.txt` mean it.
fn simulation(seed: u64) -> Simulation {
    Simulation::new(seed).schedulers(1 + (seed % 4) as usize).minutes(20)
}

/// How many seeds are run: `ASYNCZ_SEEDS`, or 1,000.
fn seeds() -> u64 {
    std::env::var("ASYNCZ_SEEDS").map_or(1_000, |seeds| seeds.parse().expect("ASYNCZ_SEEDS is a number"))
}

/// Runs the seeds of one of four parts, so that test runners have something for each core.
fn run_quarter(quarter: u64) {
    for seed in (0..seeds()).filter(|seed| seed % 4 == quarter) {
        simulation(seed).run().unwrap();
    }
}

#[test]
fn every_seed_that_ever_failed_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/simulation-seeds.txt");
    let text = fs::read_to_string(path).unwrap();
    let seeds = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').next());
    for seed in seeds.filter(|seed| !seed.is_empty()) {
        simulation(seed.parse().unwrap()).run().unwrap();
    }
}

#[test]
fn one_scheduler_holds_whatever_happens() {
    run_quarter(0);
}

#[test]
fn two_schedulers_hold_whatever_happens() {
    run_quarter(1);
}

#[test]
fn three_schedulers_hold_whatever_happens() {
    run_quarter(2);
}

#[test]
fn four_schedulers_hold_whatever_happens() {
    run_quarter(3);
}

#[test]
fn a_recorded_log_of_inputs_replays_to_equal_actions() {
    for seed in 0..seeds() / 10 {
        simulation(seed).replaying().run().unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        assert_eq!(simulation(seed).run().unwrap(), simulation(seed).run().unwrap());
    }
    assert_ne!(simulation(1).run().unwrap().digest, simulation(5).run().unwrap().digest);
}

#[test]
fn seeds_are_about_all_that_can_happen() {
    let reports: Vec<_> = (0..40).map(|seed| simulation(seed).run().unwrap()).collect();
    let sum = |count: fn(&asyncz::testing::SimulationReport) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.runs) > 400);
    assert!(sum(|report| report.lost) > 10, "claims must meet");
    assert!(sum(|report| report.edits) > 200);
    assert!(sum(|report| report.lost_questions) > 50);
    assert!(sum(|report| report.lost_answers) > 50);
    assert!(sum(|report| report.crashes) > 10);
    assert!(sum(|report| report.clock_steps) > 10);
    assert!(sum(|report| report.taken_over) > 5);
}

#[test]
fn a_store_that_fails_by_itself_is_told() {
    let store = FaultyStore::in_memory();
    store.go_down();
    let error = Simulation::new(7).store(store).run().unwrap_err();
    assert_eq!((error.seed, error.invariant), (7, Invariant::StoreWorks));
    assert!(error.to_string().contains("seed 7"), "{error}");
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[test]
fn a_store_may_need_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let _entered = runtime.enter();
    Simulation::new(3).minutes(2).store(Mutant::new(Broken::None)).run().unwrap();
}
