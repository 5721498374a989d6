//! Tests that need a process of their own, because what they touch belongs to the whole process: signals, the
//! environment, the log.
//!
//! Such a test runs itself again: [`run`] starts the test binary for this one test, where [`is_child`] is true.

use std::process::{Command, Output};

/// Marks the child; to libtest it is a filter that fits no test.
const CHILD: &str = "minuted-test-child";

/// Returns whether this process was started by [`run`].
pub(crate) fn is_child() -> bool {
    std::env::args().any(|argument| argument == CHILD)
}

/// Runs the test of that whole name (`signals::tests::…`) in a process of its own, with these variables.
pub(crate) fn run(test: &str, variables: &[(&str, &str)]) -> Output {
    let program = std::env::current_exe().expect("the path of the tests");
    let arguments = ["--exact", test, "--nocapture", "--skip", CHILD];
    let output = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .expect("started");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("running 1 test\n"),
        "no test is called `{test}`"
    );
    output
}

/// Runs the test as [`run`] does, and returns what it wrote to standard error once it has passed.
pub(crate) fn pass(test: &str, variables: &[(&str, &str)]) -> String {
    let output = run(test, variables);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}
