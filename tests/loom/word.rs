//! Whatever threads do with one event, it is remembered complete only if its work is done.

use word::model::{Order, askers, record_again, recorders};
use word::sync::{Plant, explore, explore_with};

#[test]
fn completion_is_remembered_of_the_record_that_was_asked_about() {
    explore(|| record_again(Order::Right));
}

#[test]
fn two_threads_record() {
    explore(|| recorders::<2>(Order::Right));
}

/// Not in every order, which would take hours.
#[test]
fn three_threads_record() {
    explore_with(Plant::Nothing, Some(4), || recorders::<3>(Order::Right));
}

#[test]
fn who_is_told_by_the_word_sees_the_data() {
    explore(askers);
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

#[test]
#[should_panic(expected = "complete, and its work is not done")]
fn a_planted_store_of_the_completion_is_found() {
    explore_with(Plant::Store, None, || record_again(Order::Right));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_planted_completion_that_releases_nothing_is_found() {
    explore_with(Plant::RelaxedExchange, None, askers);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_planted_load_that_acquires_nothing_is_found() {
    explore_with(Plant::RelaxedLoad, None, askers);
}
