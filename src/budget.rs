//! How much the tests do: the quick part by default, the long walks on request.
//!
//! `MINUTED_TEST_BUDGET=N` multiplies the cases of every property, the steps of every walk and the sizes of every load by
//! N (1 to 10,000; default 1). The tests stay the same ones.

use proptest::prelude::ProptestConfig;

/// Returns `quick` multiplied by the budget.
///
/// # Panics
///
/// When the variable holds anything but a number from 1 to 10,000.
pub(crate) fn budget(quick: u32) -> u32 {
    quick.saturating_mul(factor())
}

/// Returns how a property is tried: on `quick` cases multiplied by the budget. Nothing is written beside the source.
pub(crate) fn cases(quick: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(budget(quick)) }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own variable, not minuted's")]
fn factor() -> u32 {
    let Ok(text) = std::env::var("MINUTED_TEST_BUDGET") else { return 1 };
    let factor = text.parse().ok().filter(|factor| (1..=10_000).contains(factor));
    factor.unwrap_or_else(|| {
        panic!("MINUTED_TEST_BUDGET is `{text}`: write a number from 1 to 10000")
    })
}
