//! The compiler does not watch folders: without this, a new migration would be embedded only when some code changes.
fn main() {
    println!("cargo:rerun-if-changed=../../migrations/common");
}
