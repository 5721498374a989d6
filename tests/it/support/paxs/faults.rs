//! Faults that a test plants: which call they meet, how often, and what they do.

use super::call::Call;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status and a JSON error; nothing was done.
    Status(u16),
    /// This status, this `Retry-After` and this body; nothing was done.
    StatusWith {
        /// The status.
        status: u16,
        /// The value of `Retry-After`, as it is.
        retry_after: Option<String>,
        /// The body, as it is.
        body: String,
    },
    /// This status before the body of the request was read, and the connection closed; nothing was done.
    EarlyStatus(u16),
    /// The connection is reset once the head of the request was read; nothing was done.
    ResetBefore,
    /// The connection is reset in the middle of the request's body, after half of it or 64 KiB; nothing was done.
    ResetMidBody,
    /// A redirection (307) to this place; nothing was done.
    Redirect(String),
    /// A redirection of another status to this place; nothing was done.
    Moved {
        /// The status.
        status: u16,
        /// The value of `Location`.
        to: String,
    },
    /// 200 and a page of HTML, as a captive portal answers; nothing was done.
    Html,
    /// No answer, no reading, the connection stays; nothing was done.
    Hang,
    /// The work is done, then the connection is closed without an answer.
    LoseAnswer,
    /// The work is done, then the connection is reset instead of an answer.
    ResetAfter,
    /// The work is done, then no answer comes and the connection stays.
    HoldAnswer,
    /// The work is done, the answer is this status and a JSON error, as of a gateway that lost its server.
    LateStatus(u16),
    /// The work is done, the answer is a status without a body.
    Empty,
    /// The work is done, the connection is cut in the middle of the answer.
    Truncated,
    /// The work is done, one field of its answer is something else.
    Field {
        /// Which, as a JSON pointer; an empty one is the whole answer. An answer without it stays as it is.
        pointer: String,
        /// What stands there instead, as it is: it need not be JSON.
        json: String,
    },
    /// The work is done, the answer is so many arrays in each other.
    Nested(usize),
    /// The work is done, the answer is a JSON string that never ends.
    Endless,
    /// The work is done, the answer comes at one byte a second.
    Drip,
    /// The work is done, request and answer go through slowly.
    Slow {
        /// The speed; 0 counts as 1.
        bytes_per_second: u64,
    },
}

/// The faults that are planted.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    call: Call,
    /// A part of the title or the file name; empty matches everything.
    needle: String,
    fault: Fault,
    /// How often it is still met; `None` is always.
    left: Option<u32>,
}

impl Faults {
    /// Plants a fault for the next `times` matching calls; `None` is for all.
    pub(super) fn plant(&mut self, call: Call, needle: &str, fault: Fault, times: Option<u32>) {
        self.rules.push(Rule { call, needle: needle.to_owned(), fault, left: times });
    }

    /// Forgets every fault.
    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Returns whether what a call is about decides on its fault.
    pub(super) fn ask_subjects(&self, call: Call) -> bool {
        self.rules.iter().any(|rule| rule.call == call && !rule.needle.is_empty())
    }

    /// Returns the fault that this call meets, and counts it. Counted faults go before lasting ones, older before
    /// newer.
    pub(super) fn take(&mut self, call: Call, subjects: &[String]) -> Option<Fault> {
        self.rules.retain(|rule| rule.left != Some(0));
        let meets = |rule: &Rule| rule.meets(call, subjects);
        let counted = self.rules.iter().position(|rule| rule.left.is_some() && meets(rule));
        let met = counted.or_else(|| self.rules.iter().position(meets))?;
        let rule = &mut self.rules[met];
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.fault.clone())
    }
}

impl Rule {
    fn meets(&self, call: Call, subjects: &[String]) -> bool {
        self.call == call
            && (self.needle.is_empty()
                || subjects.iter().any(|subject| subject.contains(self.needle.as_str())))
    }
}
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_is_met_before_a_lasting_one_and_only_so_often() {
        let mut faults = Faults::default();
        faults.plant(Call::Upload, "", Fault::Status(500), None);
        faults.plant(Call::Upload, "", Fault::Html, Some(1));
        assert_eq!(faults.take(Call::Profile, &[]), None);
        let met: Vec<_> = (0..3).filter_map(|_| faults.take(Call::Upload, &[])).collect();
        assert_eq!(met, [Fault::Html, Fault::Status(500), Fault::Status(500)]);
    }

    #[test]
    fn a_fault_for_one_title_leaves_the_others_alone() {
        let mut faults = Faults::default();
        faults.plant(Call::Upload, "bad", Fault::Empty, None);
        assert!(faults.ask_subjects(Call::Upload) && !faults.ask_subjects(Call::Token));
        assert_eq!(faults.take(Call::Upload, &["good".into()]), None);
        assert_eq!(
            faults.take(Call::Upload, &["good".into(), "a bad one".into()]),
            Some(Fault::Empty)
        );
    }
}
