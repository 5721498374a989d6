//! What the process's memory holds stays in it: tokens and passwords, parts of recordings and transcripts.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Makes sure that this process leaves no core, and that no other process of the same user reads its memory.
///
/// The limit alone would not do: a core that is piped to a program (`core_pattern`) may be made all the same, and root
/// can raise it. Children inherit the limit, not the other.
///
/// # Errors
/// When the kernel refuses either.
pub(crate) fn seal() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alone;

    #[test]
    fn a_sealed_process_can_be_neither_dumped_nor_made_to_allow_it() {
        if alone::is_child() {
            seal().expect("sealed");
            let limit = rustix::process::getrlimit(Resource::Core);
            assert_eq!(limit, Rlimit { current: Some(0), maximum: Some(0) });
            let behavior = rustix::process::dumpable_behavior().expect("told");
            assert_eq!(behavior, DumpableBehavior::NotDumpable);
            return;
        }
        let test = "a_sealed_process_can_be_neither_dumped_nor_made_to_allow_it";
        alone::pass(&format!("memory::tests::{test}"), &[]);
    }
}
