//! The processor that whisper.cpp was built for.
//!
//! Its arithmetic is compiled for instruction sets that a processor has or has not; the first one that is missing would end
//! the process with `SIGILL`. The sets are read from whisper.cpp itself, so a build for one machine's own processor knows
//! those as well as a package does.

/// This processor lacks instruction sets that whisper.cpp was built with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this processor lacks {}, which the whisper of this build needs", missing.join(", "))]
pub(crate) struct UnsupportedProcessor {
    /// The sets, by the names of their vendors. There is at least one.
    missing: Vec<&'static str>,
}

impl UnsupportedProcessor {
    /// The cure. A build without `GGML_NATIVE=OFF` uses the instructions of the machine that builds it.
    pub(crate) const HINT: &str = "build minuted on this machine: cargo build --release --features whisper; or configure another \
                                   service";
}

/// Fails where whisper cannot run on this processor.
pub(crate) fn check_processor() -> Result<(), UnsupportedProcessor> {
    compare_sets(compiled_sets(), has_set)
}

/// Fails with those of the `compiled` sets that the processor lacks.
fn compare_sets(
    compiled: impl IntoIterator<Item = &'static str>,
    has_set: impl Fn(&str) -> bool,
) -> Result<(), UnsupportedProcessor> {
    let missing: Vec<_> = compiled.into_iter().filter(|set| !has_set(set)).collect();
    if missing.is_empty() { Ok(()) } else { Err(UnsupportedProcessor { missing }) }
}

/// Returns the instruction sets that whisper.cpp was built with. Asking for them needs none of them.
#[cfg(feature = "whisper")]
fn compiled_sets() -> Vec<&'static str> {
    let compiled = whisper_rs::SystemInfo::default();
    let sets = [
        ("AVX", compiled.avx),
        ("AVX2", compiled.avx2),
        ("BMI2", compiled.avx2), // it is not told; no processor has had AVX2 without it
        ("FMA", compiled.fma),
        ("F16C", compiled.f16c),
    ];
    sets.into_iter().filter(|(_, is_compiled)| *is_compiled).map(|(set, _)| set).collect()
}

#[cfg(not(feature = "whisper"))]
fn compiled_sets() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(target_arch = "x86_64")]
fn has_set(set: &str) -> bool {
    match set {
        "AVX" => std::arch::is_x86_feature_detected!("avx"),
        "AVX2" => std::arch::is_x86_feature_detected!("avx2"),
        "BMI2" => std::arch::is_x86_feature_detected!("bmi2"),
        "FMA" => std::arch::is_x86_feature_detected!("fma"),
        "F16C" => std::arch::is_x86_feature_detected!("f16c"),
        _ => true,
    }
}

/// whisper.cpp tells of no set of other machines.
#[cfg(not(target_arch = "x86_64"))]
fn has_set(_: &str) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_that_a_processor_lacks_are_named() {
        let compiled = ["AVX", "AVX2", "FMA"];
        let lacking = compare_sets(compiled, |set| set == "AVX").expect_err("two are missing");
        insta::assert_snapshot!(
            lacking,
            @"this processor lacks AVX2, FMA, which the whisper of this build needs"
        );
        assert_eq!(compare_sets(compiled, |_| true), Ok(()));
        assert_eq!(
            compare_sets([], |_| false),
            Ok(()),
            "a build for any processor, or without whisper"
        );
    }

    #[test]
    fn a_build_runs_on_the_machine_that_tests_it() {
        assert_eq!(check_processor(), Ok(()));
    }
}
