//! Tells cargo that the embedded migrations are part of the source: the macro that embeds them cannot.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
