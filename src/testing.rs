//! The parts of the crate that its integration tests use. Nothing else is public but [`main`](crate::main) and the
//! entry points of the fuzz targets.

#![allow(
    missing_docs,
    reason = "each module here has the name and the documentation of the room that it shows"
)]

pub mod clock {
    pub use crate::clock::now;
}

pub mod beneath {
    pub use crate::beneath::Dir;
}

pub mod config {
    pub use crate::config::{
        Allow, Analysis, Attendee, Email, Format, Smtp, Source, SourceApi, Tls, read_secret,
    };
}

pub mod delivery {
    pub use crate::delivery::{
        DigestEntry, Letter, LetterForm, MailError, MailLimits, Mailer, Minutes, is_temporary,
        message_id,
    };
}

pub mod effect {
    pub use crate::effect::{Effect, When};
}

pub mod engine {
    pub mod audio {
        pub use crate::engine::audio::{Audio, AudioError, Side, ffmpeg, sound_tracks};
    }

    pub mod model {
        pub use crate::engine::model::{Model, VoiceModels};
    }

    pub mod recogniser {
        pub use crate::engine::recogniser::Choice;
    }

    pub mod run {
        pub use crate::{
            config::Speakers,
            engine::{
                run::{EngineError, Request, Transcript, run, this_program},
                wire::VoiceWork,
            },
        };
    }
}

pub mod exit {
    pub use crate::exit::*;
}

pub mod http {
    pub use crate::http::{CallLimits, Elsewhere};
}

pub mod job {
    pub use crate::job::{Content, Findings, Key, Report, Segment, Sound, Status};
}

pub mod progress {
    pub use crate::progress::Progress;
}

pub mod store {
    pub use crate::store::{Store, user_name};
}

pub mod services {
    pub use crate::services::{CallError, FileFault};

    pub mod pacer {
        pub use crate::services::pacer::Pacer;
    }
}

pub mod sources {
    pub use crate::sources::{Availability, Recording, RemoteFile, Source};

    pub mod meetingbaas {
        pub use crate::sources::meetingbaas::{BotJoin, BotSchedule, MeetingBaas};
    }
}

pub mod watch {
    pub mod media {
        pub mod sound {
            pub use crate::watch::media::sound::{ReadAt, SoundHasher};
        }
    }
}
