//! Tables of cases: each in a house of its own, many at once, and all that went wrong told together.

use std::{
    any::Any,
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
};

/// Houses at once: they wait more than they work.
const AT_ONCE: usize = 8;

/// Checks every row; tells which ones failed, and how.
pub(crate) fn each<T: Debug + Clone + Send>(
    rows: impl IntoIterator<Item = T>,
    check: impl Fn(T) + Sync,
) {
    let rows: Mutex<Vec<T>> = Mutex::new(rows.into_iter().collect());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = { rows.lock().expect("held for a moment").pop() } {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(row.clone()))) {
                        let told = format!("{row:?}: {}", said(panic.as_ref()));
                        failed.lock().expect("held for a moment").push(told);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("held for a moment");
    assert!(failed.is_empty(), "{} rows:\n{}", failed.len(), failed.join("\n\n"));
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
