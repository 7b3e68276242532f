//! The event word, compiled from the crate's own file, in the programs of tests/loom, where its store is not a plain one.

#[path = "../loom/model.rs"]
mod model;
mod sync;
#[allow(dead_code, reason = "a part of it is for what is not explored")]
#[path = "../../src/event/word.rs"]
mod word;

use model::{Order, record_again, recorders};
use shuttle::{check_pct, check_random};

const ORDERS: usize = 20_000;
/// How many places of a run PCT changes its mind in.
const DEPTH: usize = 3;

fn explore(program: fn()) {
    check_random(program, ORDERS);
    check_pct(program, ORDERS, DEPTH);
}

#[test]
fn completion_is_remembered_of_the_record_that_was_asked_about() {
    explore(|| record_again(Order::Right));
}

#[test]
fn two_threads_record() {
    explore(|| recorders::<2>(Order::Right));
}

#[test]
fn three_threads_record() {
    explore(|| recorders::<3>(Order::Right));
}

#[test]
#[should_panic(expected = "complete, and its work is not done")]
fn a_planted_mark_before_the_record_is_found() {
    explore(|| record_again(Order::MarkFirst));
}

#[test]
#[should_panic(expected = "complete, and its work is not done")]
fn a_planted_word_that_is_read_after_the_driver_was_asked_is_found() {
    explore(|| record_again(Order::AskFirst));
}
