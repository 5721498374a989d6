//! The reasons for which work waits: the work that each one blocks, and how it ends.

use crate::words::words;

words! {
    /// The reason why the work of a service, a folder or a source has to wait.
    ///
    /// A new reason gets its row in `HoldReason::rules`, and the words that a person reads about it in
    /// `control/held.rs`; neither compiles without it.
    pub enum HoldReason {
        /// The service (or the mail server, or the vendor of a source) does not work.
        Down = "down",
        /// The service refuses the sign-in or the key.
        SignedOut = "signed_out",
        /// The service forbids the account a call.
        Forbidden = "forbidden",
        /// The list of the service's meetings is not read yet: the queue is new.
        Reading = "reading",
        /// The folder is not there.
        Absent = "absent",
        /// The folder cannot be opened or listed.
        Unreadable = "unreadable",
        /// The folder is empty and on another device than its recordings were: nothing is mounted.
        EmptyMountPoint = "empty mount point",
        /// Another directory lies at the folder's path, without its recordings: a mount is missing.
        AnotherPlace = "another place",
        /// The folder's file system does not answer.
        Silent = "silent",
        /// The kernel has no watches left for the folder, so it is polled.
        WatchLimit = "watch limit",
        /// The service refuses the meetings of the folder.
        Refused = "refused",
        /// A person paused the folder.
        Paused = "paused",
        /// The notes of the folder cannot be written.
        Notes = "notes",
        /// The disk of the folder, or that of the queue, is full.
        Full = "full",
        /// The folder that a source brings its recordings to takes none now.
        Folder = "folder",
        /// The folder is not in the configuration any more. Shown only, never recorded.
        NotConfigured = "not configured",
        /// The daily limit of the folder or the service is used up. Shown only, never recorded: it follows from
        /// what was begun today.
        Budget = "budget",
    }
}

/// The work that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockedWork {
    /// None: it is there for the operator to know.
    Nothing,
    /// New calls; a meeting that exists already is read and deleted. Jobs are tried one by one, because only a call
    /// shows that it is over.
    NewCallsProbed,
    /// New calls; a meeting that exists already is read and deleted.
    NewCalls,
    /// All stages before deliveries.
    Stages,
    /// Deliveries alone.
    Deliveries,
    /// All stages, and deliveries.
    Everything,
}

/// The event that ends a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// A call that succeeds.
    Call,
    /// A sign-in, a new key, or new rights of the account.
    SignIn,
    /// The list of meetings, once it is read.
    List,
    /// A scan that finds the folder as it should be.
    Scan,
    /// A delivery that succeeds.
    Delivery,
    /// A recording that a source places.
    Placing,
    /// A person's command, or a changed configuration.
    Person,
    /// The next day of this machine's time zone.
    Midnight,
}

/// The party that has to act, the most urgent first: of several holds, the first is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A person has to sign in.
    SignIn,
    /// A person has to give rights, or to resume.
    Person,
    /// The hold ends when its cause does.
    Cause,
    /// The hold ends without help, soon.
    Passing,
}

/// The rules of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    blocks: BlockedWork,
    ended_by: EndedBy,
    /// The hold may end without a person.
    heals: bool,
    urgency: Urgency,
}

impl HoldReason {
    const fn hold_rules(self) -> Rules {
        let (blocks, ended_by, heals, urgency) = match self {
            Self::Down | Self::Refused => {
                (BlockedWork::NewCallsProbed, EndedBy::Call, true, Urgency::Cause)
            }
            Self::SignedOut => (BlockedWork::Stages, EndedBy::SignIn, false, Urgency::SignIn),
            Self::Forbidden => (BlockedWork::Stages, EndedBy::SignIn, true, Urgency::Person),
            Self::Reading => (BlockedWork::NewCalls, EndedBy::List, true, Urgency::Passing),
            Self::Absent
            | Self::Unreadable
            | Self::EmptyMountPoint
            | Self::AnotherPlace
            | Self::Silent => (BlockedWork::Everything, EndedBy::Scan, true, Urgency::Cause),
            Self::WatchLimit => (BlockedWork::Nothing, EndedBy::Scan, true, Urgency::Cause),
            Self::Paused => (BlockedWork::Stages, EndedBy::Person, false, Urgency::Person),
            Self::Notes => (BlockedWork::Deliveries, EndedBy::Delivery, true, Urgency::Cause),
            Self::Full => (BlockedWork::Everything, EndedBy::Delivery, true, Urgency::Cause),
            Self::Folder => (BlockedWork::Stages, EndedBy::Placing, true, Urgency::Passing),
            Self::NotConfigured => {
                (BlockedWork::Everything, EndedBy::Person, false, Urgency::Cause)
            }
            Self::Budget => (BlockedWork::NewCalls, EndedBy::Midnight, true, Urgency::Passing),
        };
        Rules { blocks, ended_by, heals, urgency }
    }

    /// Returns all reasons that an event ends.
    pub fn ended_by(event: EndedBy) -> Vec<Self> {
        Self::ALL.iter().copied().filter(|reason| reason.hold_rules().ended_by == event).collect()
    }

    /// Returns whether `event` ends it.
    #[must_use]
    pub fn is_ended_by(self, event: EndedBy) -> bool {
        self.hold_rules().ended_by == event
    }

    /// Returns whether nothing can be written into the folder, nor read from it.
    #[must_use]
    pub fn is_unreachable(self) -> bool {
        self.hold_rules().blocks == BlockedWork::Everything && self.is_ended_by(EndedBy::Scan)
    }

    /// Returns whether it blocks the stages before deliveries.
    #[must_use]
    pub const fn blocks_stages(self) -> bool {
        match self.hold_rules().blocks {
            BlockedWork::NewCallsProbed
            | BlockedWork::NewCalls
            | BlockedWork::Stages
            | BlockedWork::Everything => true,
            BlockedWork::Deliveries | BlockedWork::Nothing => false,
        }
    }

    /// Returns whether it blocks the claim of any job: [`Self::blocks_stages`] less the reasons that jobs have to probe.
    #[must_use]
    pub const fn blocks_claims(self) -> bool {
        match self.hold_rules().blocks {
            BlockedWork::NewCalls | BlockedWork::Stages | BlockedWork::Everything => true,
            BlockedWork::NewCallsProbed | BlockedWork::Deliveries | BlockedWork::Nothing => false,
        }
    }

    /// Returns whether it blocks calls about a meeting that exists already: to read its results, or to delete it.
    #[must_use]
    pub const fn blocks_known_meetings(self) -> bool {
        match self.hold_rules().blocks {
            BlockedWork::Stages | BlockedWork::Everything => true,
            BlockedWork::NewCallsProbed
            | BlockedWork::NewCalls
            | BlockedWork::Deliveries
            | BlockedWork::Nothing => false,
        }
    }

    /// Returns whether it blocks the deliveries of its folder.
    #[must_use]
    pub const fn blocks_deliveries(self) -> bool {
        match self.hold_rules().blocks {
            BlockedWork::Deliveries | BlockedWork::Everything => true,
            BlockedWork::NewCallsProbed
            | BlockedWork::NewCalls
            | BlockedWork::Stages
            | BlockedWork::Nothing => false,
        }
    }

    /// Returns whether the hold may end without a person.
    #[must_use]
    pub const fn heals_itself(self) -> bool {
        self.hold_rules().heals
    }

    /// Returns who has to act.
    #[must_use]
    pub const fn urgency(self) -> Urgency {
        self.hold_rules().urgency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_word_and_back() {
        for reason in HoldReason::ALL {
            assert_eq!(HoldReason::parse(reason.as_str()), Some(*reason));
            assert_eq!(serde_json::to_value(reason).expect("a word"), reason.as_str());
        }
    }

    #[test]
    fn a_person_is_needed_where_no_call_scan_or_delivery_ends_it() {
        let by_person: Vec<_> =
            HoldReason::ALL.iter().filter(|reason| !reason.heals_itself()).collect();
        assert_eq!(
            by_person,
            [&HoldReason::SignedOut, &HoldReason::Paused, &HoldReason::NotConfigured]
        );
    }
}
