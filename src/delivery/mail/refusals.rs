//! Mails that were refused for what is in them, compared with each other: one that is refused alone is at fault itself,
//! mails of different recordings that are refused alike are refused because of the set-up. Pure.

/// The result of comparing a refused mail with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The server takes other mails, or there were none to compare with for long enough: it is this mail's own fault.
    Own,
    /// There is nothing to compare with yet: it is tried again.
    Unclear,
    /// Mails of different recordings are refused alike: no mail is at fault.
    Everyone,
}

/// Refusals of a mail that has nothing to be compared with, until it is taken for the mail's own fault.
const REFUSALS_MAX: u32 = 3;

/// Refused mails that are remembered, the latest: enough to compare with, and little memory.
const REMEMBERED_MAX: usize = 100;

/// A mail that was refused.
#[derive(Debug)]
struct RefusedMail {
    code: u16,
    /// The digest of its notes.
    notes: String,
    recipient: String,
    /// The number of refusals.
    times: u32,
    /// True if another mail was accepted since.
    others_taken: bool,
}

/// The mails that a server has refused for what is in them.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<RefusedMail>);

impl Refusals {
    /// Records that a mail was refused with `code`. `notes` tells its notes from others.
    pub(super) fn record_refusal(&mut self, code: u16, notes: &str, recipient: &str) -> Comparison {
        let is_it = |mail: &RefusedMail| mail.notes == notes && mail.recipient == recipient;
        if !self.0.iter().any(is_it) {
            let notes = notes.to_owned();
            let recipient = recipient.to_owned();
            self.0.push(RefusedMail { code, notes, recipient, times: 0, others_taken: false });
            let superfluous = self.0.len().saturating_sub(REMEMBERED_MAX);
            self.0.drain(..superfluous);
        }
        let is_alike =
            |mail: &RefusedMail| mail.code == code && mail.notes != notes && !mail.others_taken;
        let is_everyone = self.0.iter().any(is_alike);
        let Some(mail) = self.0.iter_mut().find(|mail| is_it(mail)) else { return Comparison::Own };
        mail.code = code;
        mail.times += 1;
        if mail.others_taken {
            Comparison::Own
        } else if is_everyone {
            Comparison::Everyone
        } else if mail.times >= REFUSALS_MAX {
            Comparison::Own
        } else {
            Comparison::Unclear
        }
    }

    /// Records that a mail with notes was accepted: the set-up is right.
    pub(super) fn record_success(&mut self, notes: &str, recipient: &str) {
        self.0.retain(|mail| mail.notes != notes || mail.recipient != recipient);
        self.0.iter_mut().for_each(|mail| mail.others_taken = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_that_is_refused_while_others_are_taken_is_at_fault_itself() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.record_refusal(554, "one", "ann"), Comparison::Unclear);
        refusals.record_success("two", "ann");
        assert_eq!(refusals.record_refusal(554, "one", "ann"), Comparison::Own);
    }

    #[test]
    fn mails_of_different_recordings_that_are_refused_alike_are_not_at_fault() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.record_refusal(550, "one", "ann"), Comparison::Unclear);
        assert_eq!(
            refusals.record_refusal(550, "one", "bo"),
            Comparison::Unclear,
            "it is the same mail"
        );
        for _ in 0..5 {
            assert_eq!(refusals.record_refusal(550, "two", "ann"), Comparison::Everyone);
            assert_eq!(refusals.record_refusal(550, "one", "ann"), Comparison::Everyone);
        }
        refusals.record_success("three", "ann");
        assert_eq!(
            refusals.record_refusal(550, "two", "ann"),
            Comparison::Own,
            "now something is taken"
        );
    }

    #[test]
    fn a_mail_alone_ends_after_a_few_refusals() {
        let mut refusals = Refusals::default();
        let comparisons = [554, 550, 554].map(|code| refusals.record_refusal(code, "one", "ann"));
        assert_eq!(comparisons, [Comparison::Unclear, Comparison::Unclear, Comparison::Own]);
        for number in 0..1000 {
            refusals.record_success(&number.to_string(), "ann");
            refusals.record_refusal(554, &number.to_string(), "ann");
        }
        assert!(refusals.0.len() <= REMEMBERED_MAX);
    }
}
