//! Runs each model as a test of its own.
#![forbid(unsafe_code)]

macro_rules! models {
    ($($name:ident: $($folder:ident)::+ { $($model:ident,)* })*) => {
        $(mod $name {
            use user_service_models::$($folder)::+ as models;

            $(#[test]
            fn $model() {
                models::$model();
            })*
        })*
    };
}

models! {
    draining: net {
        a_shutdown_ends_every_wait,
    }
    generation: storage::database::pool::generation_models {
        two_dead_connections_end_one_generation,
        two_suspicions_end_one_generation,
    }
    watchdog: storage::database::pool::watchdog_models {
        a_lease_is_ended_or_revoked,
    }
    workers: storage::database::workers_models {
        a_hung_thread_is_replaced_before_it_is_gone,
        a_thread_that_hangs_twice_is_replaced_once,
        a_thread_that_returns_makes_room_for_a_replacement,
    }
    pace: storage::engine::pace_models {
        a_new_batch_is_not_taken_for_a_slow_one,
    }
    reply: storage::engine::reply_models {
        a_message_is_claimed_or_given_up,
        a_message_that_is_put_back_is_claimed_or_given_up,
        a_message_that_is_set_aside_is_claimed_or_given_up,
        the_waker_outlasts_every_change,
        a_new_waker_takes_the_place_of_the_old,
        a_reply_that_is_dropped_ends_the_wait,
        send_all_wakes_every_caller,
        neighbours_are_woken_although_the_first_gives_up,
        neighbours_are_woken_although_the_first_is_dropped,
        a_waker_may_poll,
        a_waker_may_look_when_it_is_dropped,
    }
    blocking_call: storage::event_log::blocking_call_models {
        a_call_is_answered_or_abandoned,
    }
}
