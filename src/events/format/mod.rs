//! Events in the form that others see.

mod cloud_event;
mod event_type;
mod published;

pub use cloud_event::to_json;
pub use event_type::EventType;
pub use published::PublishedEvent;
