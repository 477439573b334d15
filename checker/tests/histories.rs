//! Histories made by hand, right and wrong, each with its verdict and with what it shows.
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say so and stop"
)]

mod support;

use support::*;
use user_service_checker::Outcome::{Done, EmailTaken, Invalid, NotFound, Refused, Unknown, VersionMismatch};
use user_service_checker::{Anomaly, Bounds, Call, History, Outcome, Part, Report, Verdict, check, page};

const NOBODY: Outcome = Outcome::None;

/// User 7 as it is created by client 0, from 0 to 10.
fn born() -> Call {
    call(0, 0, 10, create("a-1", "a@x.io"), is(7, 1, "a-1", "a@x.io"))
}

fn judge(calls: impl IntoIterator<Item = Call>) -> (History, Report) {
    let history = history(calls);
    let report = check(&history, &Bounds::default());
    assert_eq!(
        report.faults.is_empty(),
        brute(&history),
        "the exhaustive checker disagrees: {}",
        report.text(&history)
    );
    (history, report)
}

fn brute(history: &History) -> bool {
    support::brute::is_linearizable(history)
}

#[track_caller]
fn right(calls: impl IntoIterator<Item = Call>) {
    let (history, report) = judge(calls);
    assert_eq!(report.verdict(), Verdict::Linearizable, "{}", report.text(&history));
}

/// The report on a wrong history whose window marks the call at place `culprit`.
#[track_caller]
fn wrong(culprit: usize, calls: impl IntoIterator<Item = Call>) -> String {
    let (history, report) = judge(calls);
    let text = report.text(&history);
    assert_eq!(report.verdict(), Verdict::Violated, "{text}");
    let window = &report.faults[0].window;
    let marked = window.calls.iter().find(|call| call.call == culprit).map(|call| call.part);
    assert_eq!(marked, Some(Part::Contradicted), "{text}");
    text
}

#[track_caller]
fn finds(anomaly: Anomaly, calls: impl IntoIterator<Item = Call>) {
    let (history, report) = judge(calls);
    let found = Vec::from_iter(report.findings.iter().map(|finding| finding.anomaly));
    assert!(found.contains(&anomaly), "{found:?}: {}", report.text(&history));
    assert!(!report.faults.is_empty(), "a finding that the search does not confirm: {}", report.text(&history));
}

#[test]
fn nothing_is_right() {
    right([]);
}

#[test]
fn each_operation_in_turn() {
    right([
        born(),
        call(1, 20, 30, get(7), is(7, 1, "a-1", "a@x.io")),
        call(1, 40, 50, put_if(1, 7, "a-2", "b@x.io"), is(7, 2, "a-2", "b@x.io")),
        call(1, 60, 70, find("b@x.io"), is(7, 2, "a-2", "b@x.io")),
        call(1, 60, 70, find("a@x.io"), NOBODY),
        call(2, 80, 90, rename(7, "a-3"), is(7, 3, "a-3", "b@x.io")),
        call(2, 100, 110, list("a-"), are([user(7, 3, "a-3", "b@x.io")])),
        call(2, 120, 130, delete_if(2, 7), VersionMismatch),
        call(2, 140, 150, delete_if(3, 7), Done),
        call(2, 160, 170, get(7), NotFound),
        call(2, 160, 170, list("a-"), are([])),
    ]);
}

#[test]
fn lost_update_under_if_match() {
    let text = wrong(
        2,
        [
            born(),
            call(1, 20, 30, put_if(1, 7, "a-2", "a@x.io"), is(7, 2, "a-2", "a@x.io")),
            call(2, 21, 31, put_if(1, 7, "a-3", "a@x.io"), is(7, 2, "a-3", "a@x.io")),
        ],
    );
    assert!(text.contains("user 7 is 7v2"), "{text}");
}

#[test]
fn of_two_updates_under_if_match_one_is_refused() {
    right([
        born(),
        call(1, 20, 30, put_if(1, 7, "a-2", "a@x.io"), is(7, 2, "a-2", "a@x.io")),
        call(2, 21, 31, put_if(1, 7, "a-3", "a@x.io"), VersionMismatch),
    ]);
}

#[test]
fn stale_read_after_an_acknowledged_write() {
    wrong(
        2,
        [
            born(),
            call(1, 20, 30, rename(7, "a-2"), is(7, 2, "a-2", "a@x.io")),
            call(2, 31, 40, get(7), is(7, 1, "a-1", "a@x.io")),
        ],
    );
}

#[test]
fn a_read_beside_a_write_may_see_either() {
    for seen in [is(7, 1, "a-1", "a@x.io"), is(7, 2, "a-2", "a@x.io")] {
        right([born(), call(1, 20, 30, rename(7, "a-2"), is(7, 2, "a-2", "a@x.io")), call(2, 25, 28, get(7), seen)]);
    }
}

#[test]
fn a_read_that_starts_when_the_write_ends_is_concurrent() {
    right([
        born(),
        call(1, 20, 30, rename(7, "a-2"), is(7, 2, "a-2", "a@x.io")),
        call(2, 30, 40, get(7), is(7, 1, "a-1", "a@x.io")),
    ]);
}

#[test]
fn two_reads_in_turn_go_back() {
    wrong(
        3,
        [
            born(),
            call(1, 20, 90, rename(7, "a-2"), is(7, 2, "a-2", "a@x.io")),
            call(2, 30, 40, get(7), is(7, 2, "a-2", "a@x.io")),
            call(3, 50, 60, get(7), is(7, 1, "a-1", "a@x.io")),
        ],
    );
}

#[test]
fn a_value_never_written() {
    wrong(1, [born(), call(1, 20, 30, get(7), is(7, 2, "z", "a@x.io"))]);
}

#[test]
fn dirty_read_of_a_refused_write() {
    for refusal in [Refused, EmailTaken, VersionMismatch, NotFound, Invalid] {
        let (history, report) = judge([
            born(),
            call(1, 20, 30, put_if(1, 7, "a-2", "a@x.io"), refusal),
            call(2, 40, 50, get(7), is(7, 2, "a-2", "a@x.io")),
        ]);
        assert_eq!(report.verdict(), Verdict::Violated, "{}", report.text(&history));
    }
}

#[test]
fn an_address_is_freed_too_early() {
    wrong(
        1,
        [born(), call(1, 20, 30, create("a-2", "a@x.io"), is(8, 1, "a-2", "a@x.io")), call(2, 40, 50, delete(7), Done)],
    );
}

#[test]
fn an_address_is_freed_by_a_delete_beside() {
    right([
        born(),
        call(1, 20, 45, create("a-2", "a@x.io"), is(8, 1, "a-2", "a@x.io")),
        call(2, 40, 50, delete(7), Done),
    ]);
}

#[test]
fn two_users_with_one_address() {
    wrong(
        3,
        [
            born(),
            call(1, 20, 30, create("b-1", "b@x.io"), is(8, 1, "b-1", "b@x.io")),
            call(1, 40, 50, find("b@x.io"), is(8, 1, "b-1", "b@x.io")),
            call(1, 60, 70, move_to(8, "a@x.io"), is(8, 2, "b-1", "a@x.io")),
        ],
    );
}

#[test]
fn a_409_without_an_owner() {
    let text = wrong(1, [born(), call(1, 20, 30, create("a-2", "b@x.io"), EmailTaken)]);
    assert!(text.contains("nobody else has b@x.io"), "{text}");
}

#[test]
fn a_409_for_the_own_address() {
    wrong(1, [born(), call(1, 20, 30, put(7, "a-2", "a@x.io"), EmailTaken)]);
}

#[test]
fn a_409_because_of_an_unknown_create() {
    right([lost(0, 0, create("a-1", "b@x.io")), call(1, 20, 30, create("a-2", "b@x.io"), EmailTaken)]);
}

#[test]
fn a_409_while_the_address_changes_hands() {
    right([
        born(),
        call(1, 20, 60, move_to(7, "b@x.io"), is(7, 2, "a-1", "b@x.io")),
        call(2, 30, 40, create("a-2", "a@x.io"), EmailTaken),
        call(3, 70, 80, create("a-3", "a@x.io"), is(8, 1, "a-3", "a@x.io")),
    ]);
}

#[test]
fn a_deleted_user_is_seen_again() {
    finds(
        Anomaly::SeenDeleted,
        [born(), call(1, 20, 30, delete(7), Done), call(2, 31, 40, get(7), is(7, 1, "a-1", "a@x.io"))],
    );
}

#[test]
fn a_deleted_user_is_found_by_its_address() {
    wrong(2, [born(), call(1, 20, 30, delete(7), Done), call(2, 31, 40, find("a@x.io"), is(7, 1, "a-1", "a@x.io"))]);
}

#[test]
fn a_user_is_deleted_twice() {
    wrong(2, [born(), call(1, 20, 30, delete(7), Done), call(2, 31, 40, delete(7), Done)]);
}

#[test]
fn of_two_deletes_one_finds_nobody() {
    right([born(), call(1, 20, 30, delete(7), Done), call(2, 21, 25, delete(7), NotFound)]);
}

#[test]
fn a_404_for_a_user_that_is_there() {
    wrong(1, [born(), call(1, 20, 30, get(7), NotFound)]);
}

#[test]
fn a_412_for_the_right_version() {
    wrong(1, [born(), call(1, 20, 30, put_if(1, 7, "a-2", "a@x.io"), VersionMismatch)]);
}

#[test]
fn a_412_without_an_if_match() {
    let text = wrong(1, [born(), call(1, 20, 30, put(7, "a-2", "a@x.io"), VersionMismatch)]);
    assert!(text.contains("no state answers so"), "{text}");
}

#[test]
fn an_unknown_write_takes_effect_late() {
    right([
        born(),
        call(1, 20, 25, rename(7, "a-2"), Unknown),
        call(2, 30, 40, get(7), is(7, 1, "a-1", "a@x.io")),
        call(2, 50, 60, get(7), is(7, 2, "a-2", "a@x.io")),
    ]);
}

#[test]
fn an_unknown_write_takes_effect_much_later() {
    right([
        born(),
        lost(1, 20, rename(7, "a-2")),
        call(2, 30, 40, rename(7, "a-3"), is(7, 2, "a-3", "a@x.io")),
        call(2, 50, 60, rename(7, "a-4"), is(7, 3, "a-4", "a@x.io")),
        call(2, 9_000_000, 9_000_001, get(7), is(7, 4, "a-2", "a@x.io")),
    ]);
}

#[test]
fn an_unknown_write_takes_no_effect() {
    right([
        born(),
        lost(1, 20, rename(7, "a-2")),
        call(2, 30, 40, rename(7, "a-3"), is(7, 2, "a-3", "a@x.io")),
        call(2, 50, 60, get(7), is(7, 2, "a-3", "a@x.io")),
    ]);
}

#[test]
fn an_unknown_write_is_seen_by_nobody_but_raises_the_version() {
    right([born(), lost(1, 20, rename(7, "a-2")), call(2, 30, 40, rename(7, "a-3"), is(7, 3, "a-3", "a@x.io"))]);
}

#[test]
fn an_unknown_write_takes_effect_twice() {
    wrong(
        4,
        [
            born(),
            lost(1, 20, rename(7, "a-2")),
            call(2, 30, 40, get(7), is(7, 2, "a-2", "a@x.io")),
            call(2, 50, 60, rename(7, "a-3"), is(7, 3, "a-3", "a@x.io")),
            call(2, 70, 80, get(7), is(7, 4, "a-2", "a@x.io")),
        ],
    );
}

#[test]
fn an_unknown_write_is_seen_before_it_is_sent() {
    finds(
        Anomaly::SeenEarly,
        [born(), call(2, 20, 30, get(7), is(7, 2, "a-2", "a@x.io")), lost(1, 31, rename(7, "a-2"))],
    );
}

#[test]
fn an_unknown_write_under_if_match_misses_its_version() {
    wrong(
        3,
        [
            born(),
            lost(1, 20, rename_if(1, 7, "a-2")),
            call(2, 30, 40, rename(7, "a-3"), is(7, 2, "a-3", "a@x.io")),
            call(2, 50, 60, get(7), is(7, 3, "a-2", "a@x.io")),
        ],
    );
}

#[test]
fn an_unknown_write_takes_an_address_and_another_one_frees_it() {
    // Both take effect between two calls that see nobody there, and only the version shows it.
    right([
        born(),
        lost(1, 20, move_to(7, "b@x.io")),
        lost(2, 20, move_to(7, "c@x.io")),
        call(3, 30, 40, find("b@x.io"), NOBODY),
        call(3, 50, 60, create("a-2", "b@x.io"), is(8, 1, "a-2", "b@x.io")),
        call(3, 70, 80, get(7), is(7, 3, "a-1", "c@x.io")),
    ]);
}

#[test]
fn an_unknown_create_is_found_by_its_address() {
    right([
        lost(0, 0, create("a-1", "a@x.io")),
        call(1, 20, 30, find("a@x.io"), NOBODY),
        call(1, 40, 50, find("a@x.io"), is(7, 1, "a-1", "a@x.io")),
        call(1, 60, 70, delete(7), Done),
    ]);
}

#[test]
fn an_unknown_create_disappears() {
    wrong(
        2,
        [
            lost(0, 0, create("a-1", "a@x.io")),
            call(1, 40, 50, find("a@x.io"), is(7, 1, "a-1", "a@x.io")),
            call(1, 60, 70, find("a@x.io"), NOBODY),
        ],
    );
}

#[test]
fn an_unknown_delete_takes_effect_late() {
    right([
        born(),
        lost(1, 20, delete(7)),
        call(2, 30, 40, get(7), is(7, 1, "a-1", "a@x.io")),
        call(2, 50, 60, create("a-2", "a@x.io"), is(8, 1, "a-2", "a@x.io")),
        call(2, 70, 80, get(7), NotFound),
    ]);
}

#[test]
fn an_unknown_read_says_nothing() {
    right([born(), lost(1, 20, get(7)), lost(2, 20, list("a-")), call(1, 30, 40, get(8), Refused)]);
}

#[test]
fn a_version_is_skipped() {
    wrong(1, [born(), call(1, 20, 30, rename(7, "a-2"), is(7, 3, "a-2", "a@x.io"))]);
}

#[test]
fn a_create_of_version_two() {
    wrong(0, [call(0, 0, 10, create("a-1", "a@x.io"), is(7, 2, "a-1", "a@x.io"))]);
}

#[test]
fn a_write_answers_what_it_was_not_asked() {
    wrong(1, [born(), call(1, 20, 30, put(7, "a-2", "b@x.io"), is(7, 2, "a-2", "a@x.io"))]);
}

#[test]
fn one_version_with_two_contents() {
    finds(
        Anomaly::Forked,
        [
            born(),
            lost(1, 20, rename(7, "a-2")),
            lost(2, 20, rename(7, "a-3")),
            call(3, 30, 40, get(7), is(7, 2, "a-2", "a@x.io")),
            call(3, 50, 60, get(7), is(7, 2, "a-3", "a@x.io")),
        ],
    );
}

fn two() -> [Call; 4] {
    [
        born(),
        call(0, 20, 30, create("a-2", "b@x.io"), is(8, 1, "a-2", "b@x.io")),
        call(1, 40, 90, rename(7, "a-3"), is(7, 2, "a-3", "a@x.io")),
        call(2, 40, 90, rename(8, "a-4"), is(8, 2, "a-4", "b@x.io")),
    ]
}

#[test]
fn two_lists_of_which_each_mixes_two_snapshots() {
    let list_of = |start, one, other| call(3, start, start + 5, list("a-"), are([one, other]));
    let (old_7, new_7) = (user(7, 1, "a-1", "a@x.io"), user(7, 2, "a-3", "a@x.io"));
    let (old_8, new_8) = (user(8, 1, "a-2", "b@x.io"), user(8, 2, "a-4", "b@x.io"));
    let orders = [list_of(50, new_7.clone(), old_8.clone()), list_of(60, old_7, new_8.clone())];
    wrong(5, two().into_iter().chain(orders));
    right(two().into_iter().chain([list_of(50, new_7.clone(), old_8), list_of(60, new_8, new_7)]));
}

#[test]
fn a_list_mixes_two_snapshots() {
    // 8 was renamed after 7, one after the other; the list has the second change without the first.
    let mut calls = two();
    (calls[2].end, calls[3].start) = (Some(50), 60);
    let torn = are([user(7, 1, "a-1", "a@x.io"), user(8, 2, "a-4", "b@x.io")]);
    wrong(4, calls.into_iter().chain([call(3, 35, 95, list("a-"), torn)]));
}

#[test]
fn a_list_leaves_out_a_user() {
    let text = wrong(1, [born(), call(1, 20, 30, list("a-"), are([]))]);
    assert!(text.contains("the list leaves out 7v1 a-1 a@x.io"), "{text}");
}

#[test]
fn a_list_has_a_user_twice() {
    let seven = || user(7, 1, "a-1", "a@x.io");
    wrong(1, [born(), call(1, 20, 30, list("a-"), are([seven(), seven()]))]);
}

#[test]
fn a_list_has_a_user_of_another_prefix() {
    wrong(1, [born(), call(1, 20, 30, list("b-"), are([user(7, 1, "a-1", "a@x.io")]))]);
}

#[test]
fn a_list_lags_behind_a_look_up() {
    wrong(
        3,
        [
            born(),
            call(1, 20, 60, rename(7, "a-2"), is(7, 2, "a-2", "a@x.io")),
            call(2, 25, 30, get(7), is(7, 2, "a-2", "a@x.io")),
            call(2, 35, 40, list("a-"), are([user(7, 1, "a-1", "a@x.io")])),
        ],
    );
}

#[test]
fn an_id_is_given_again() {
    finds(
        Anomaly::IdReused,
        [born(), call(1, 20, 30, delete(7), Done), call(2, 40, 50, create("a-2", "b@x.io"), is(7, 1, "a-2", "b@x.io"))],
    );
}

#[test]
fn a_refusal_may_name_either_condition() {
    for refusal in [EmailTaken, VersionMismatch] {
        right([
            born(),
            call(1, 20, 30, create("b-1", "b@x.io"), is(8, 1, "b-1", "b@x.io")),
            call(1, 40, 50, put_if(3, 7, "a-2", "b@x.io"), refusal),
        ]);
    }
}

#[test]
fn a_cycle_of_addresses() {
    // Two users cannot have swapped their addresses in two steps.
    wrong(
        2,
        [
            born(),
            call(1, 0, 10, create("b-1", "b@x.io"), is(8, 1, "b-1", "b@x.io")),
            call(1, 20, 30, move_to(8, "a@x.io"), is(8, 2, "b-1", "a@x.io")),
            call(2, 20, 30, move_to(7, "b@x.io"), is(7, 2, "a-1", "b@x.io")),
        ],
    );
}

#[test]
fn faults_of_two_partitions_are_both_named() {
    let (_, report) = judge([
        born(),
        call(1, 20, 30, get(7), NotFound),
        call(2, 20, 30, create("b-1", "b@x.io"), EmailTaken),
        call(3, 20, 30, get(9), NotFound),
    ]);
    assert_eq!((report.partitions, report.faults.len()), (3, 2));
}

/// A stale read after three hundred updates, beside other users: three calls show it.
#[test]
fn a_window_is_small() {
    let mut calls = vec![born(), call(1, 0, 10, create("a-other", "o@x.io"), is(8, 1, "a-other", "o@x.io"))];
    let name = |version| format!("a-{version}");
    for version in 2..300 {
        let start = version * 100;
        calls.push(call(0, start, start + 10, rename(7, &name(version)), is(7, version, &name(version), "a@x.io")));
        calls.push(call(1, start + 5, start + 30, get(7), is(7, version, &name(version), "a@x.io")));
        let seven = user(7, version, &name(version), "a@x.io");
        calls.push(call(2, start + 40, start + 50, list("a-"), are([seven, user(8, 1, "a-other", "o@x.io")])));
    }
    calls.push(call(3, 29_990, 30_000, get(7), is(7, 298, "a-298", "a@x.io")));
    let history = history(calls);
    let report = check(&history, &Bounds::default());
    let window = &report.faults[0].window;
    let parts = Vec::from_iter(window.calls.iter().map(|call| (call.call, call.part)));
    let stale = history.calls.len() - 1;
    assert_eq!(parts, [(stale - 3, Part::Given), (stale, Part::Contradicted)], "{}", report.text(&history));
    assert_eq!(window.culprit, Some(stale));
    let page = page(&history, &report);
    assert!(page.contains("<svg") && page.contains("class=\"contradicted\"") && page.contains("client 3"), "{page}");
}

#[test]
fn bounds_are_kept_honestly() {
    let calls = [born(), call(1, 20, 30, get(7), is(7, 1, "a-1", "a@x.io"))];
    let report = check(&history(calls), &Bounds { states: 0, ..Bounds::default() });
    assert_eq!((report.verdict(), report.undecided), (Verdict::Undecided, vec![vec![0, 1]]));
}

#[test]
fn a_rename_by_sql_keeps_the_version() {
    let renamed = || call(1, 20, 30, rename_by_sql(7, "a-2"), is(7, 1, "a-2", "a@x.io"));
    right([
        born(),
        renamed(),
        call(2, 40, 50, get(7), is(7, 1, "a-2", "a@x.io")),
        call(2, 60, 70, find("a@x.io"), is(7, 1, "a-2", "a@x.io")),
        call(3, 60, 70, list("a-"), are([user(7, 1, "a-2", "a@x.io")])),
        call(1, 80, 90, rename_by_sql(8, "a-3"), NotFound),
        call(0, 80, 90, put_if(1, 7, "a-4", "b@x.io"), is(7, 2, "a-4", "b@x.io")),
    ]);
    // An update that keeps the name keeps the new one.
    right([born(), renamed(), call(0, 40, 50, move_to(7, "b@x.io"), is(7, 2, "a-2", "b@x.io"))]);
    wrong(2, [born(), renamed(), call(0, 40, 50, move_to(7, "b@x.io"), is(7, 2, "a-1", "b@x.io"))]);
    wrong(1, [born(), call(1, 20, 30, rename_by_sql(7, "a-2"), is(7, 2, "a-2", "a@x.io"))]);
}

#[test]
fn a_stale_read_after_a_rename_by_sql_is_wrong() {
    let renamed = || call(1, 20, 30, rename_by_sql(7, "a-2"), is(7, 1, "a-2", "a@x.io"));
    let stale = |start, end| call(2, start, end, get(7), is(7, 1, "a-1", "a@x.io"));
    right([born(), renamed(), stale(25, 35)]);
    wrong(2, [born(), renamed(), stale(40, 50)]);
    // Nobody knows when it takes effect, or whether. It does so once.
    right([born(), lost(1, 20, rename_by_sql(7, "a-2")), stale(40, 50)]);
    let seen = call(2, 40, 50, get(7), is(7, 1, "a-2", "a@x.io"));
    wrong(3, [born(), lost(1, 20, rename_by_sql(7, "a-2")), seen, stale(60, 70)]);
    // One version with two names is a fork if no rename gave either.
    let other = call(1, 20, 30, get(7), is(7, 1, "a-3", "a@x.io"));
    finds(Anomaly::Forked, [born(), other, call(0, 40, 50, create("a-3", "b@x.io"), EmailTaken)]);
}
