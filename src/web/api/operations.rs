//! All that the API does.

use std::sync::Arc;

use axum::{
    extract::DefaultBodyLimit,
    routing::{MethodRouter, get, post},
};

use super::{handlers, machine, vendors};
use crate::web::Web;

/// An operation of the API: its route, and how the document describes it.
pub(in crate::web) struct Operation {
    /// The name, which is the method's in generated clients.
    pub id: &'static str,
    /// `get` or `post`.
    pub method: &'static str,
    /// The path below the prefix; `{name}` is a place.
    pub path: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What the query may hold.
    pub query: &'static [Parameter],
    /// What it is sent.
    pub body: Body,
    /// What it answers.
    pub answer: Answer,
    /// The route.
    pub(super) route: fn() -> MethodRouter<Arc<Web>>,
}

/// A part of a query.
pub(in crate::web) struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The schema of its value.
    pub schema: &'static str,
    /// True where the operation does not work without.
    pub is_required: bool,
    /// What it says.
    pub summary: &'static str,
}

/// The body of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Body {
    /// None.
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// A form with files.
    Form(&'static str),
}

/// The answer to a request that was good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Answer {
    /// 200 with JSON of this schema.
    Json(&'static str),
    /// 201 with JSON of this schema.
    Created(&'static str),
    /// 200 with the notes, in the format that was asked for.
    Notes,
    /// 200 with the bytes of a file of this media type.
    File(&'static str),
}

const STATE: Parameter = Parameter {
    name: "state",
    schema: "JobState",
    is_required: false,
    summary: "only jobs in this state",
};

const FOLDER: Parameter = Parameter {
    name: "folder",
    schema: "Name",
    is_required: false,
    summary: "only jobs of this folder",
};

const FORMAT: Parameter = Parameter {
    name: "format",
    schema: "Format",
    is_required: false,
    summary: "the format; json if absent",
};

const PATH: Parameter = Parameter {
    name: "path",
    schema: "AbsolutePath",
    is_required: true,
    summary: "the absolute path of a file",
};

const DRY_RUN: Parameter = Parameter {
    name: "dry_run",
    schema: "Flag",
    is_required: false,
    summary: "list what a scan would take, and take nothing",
};

const PAGE: Parameter = Parameter {
    name: "page",
    schema: "Page",
    is_required: false,
    summary: "the page of the list, from 1",
};

const CALENDAR: Parameter = Parameter {
    name: "calendar",
    schema: "Name",
    is_required: false,
    summary: "only this calendar, by its id",
};

const MAIL: Parameter = Parameter {
    name: "mail",
    schema: "Name",
    is_required: false,
    summary: "send a test mail to this address",
};

/// An operation that reads, whose answer is JSON.
const fn reads(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    answer: &'static str,
    route: fn() -> MethodRouter<Arc<Web>>,
) -> Operation {
    let answer = Answer::Json(answer);
    Operation { id, method: "get", path, summary, query: &[], body: Body::Nothing, answer, route }
}

/// An operation that changes something, whose answer is a message.
const fn does(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    route: fn() -> MethodRouter<Arc<Web>>,
) -> Operation {
    let answer = Answer::Json("Done");
    Operation { id, method: "post", path, summary, query: &[], body: Body::Nothing, answer, route }
}

/// Every operation, in the order of the document.
pub(in crate::web) const OPERATIONS: &[Operation] = &[
    reads(
        "status",
        "/status",
        "Show services, sources, folders and running jobs",
        "Status",
        || get(handlers::show_status),
    ),
    Operation {
        query: &[STATE, FOLDER],
        ..reads("jobs", "/jobs", "List the jobs", "Jobs", || get(handlers::list_jobs))
    },
    reads("job", "/jobs/{id}", "Show a job with its history", "Job", || get(handlers::show_job)),
    Operation {
        query: &[FORMAT],
        answer: Answer::Notes,
        ..reads("notes", "/jobs/{id}/notes", "Show the notes of a job", "Notes", || {
            get(handlers::show_notes)
        })
    },
    does("retry", "/jobs/{id}/retry", "Continue a job that failed, now", || {
        post(handlers::retry_job)
    }),
    does("redo", "/jobs/{id}/redo", "Make new notes of a recording", || post(handlers::redo_job)),
    does("cancel", "/jobs/{id}/cancel", "Cancel a job", || post(handlers::cancel_job)),
    Operation {
        body: Body::Json("Analyse"),
        ..does("analyse", "/jobs/{id}/analyse", "Request more analyses of a job", || {
            post(handlers::analyse_job)
        })
    },
    reads("speakers", "/jobs/{id}/speakers", "List the speakers of a job", "Speakers", || {
        get(handlers::list_speakers)
    }),
    Operation {
        body: Body::Json("SpeakerNames"),
        answer: Answer::Json("Speakers"),
        ..does("name_speakers", "/jobs/{id}/speakers", "Name speakers of a job", || {
            post(handlers::name_speakers)
        })
    },
    Operation {
        answer: Answer::Json("Retried"),
        ..does("retry_failed", "/retry-failed", "Continue all jobs that failed", || {
            post(handlers::retry_failed)
        })
    },
    Operation {
        query: &[PATH],
        ..reads("why", "/why", "Explain where a file is and what it waits for", "Why", || {
            get(handlers::explain_path)
        })
    },
    Operation {
        query: &[DRY_RUN],
        answer: Answer::Json("Scanned"),
        ..does("scan", "/scan", "Look through all folders now", || post(handlers::scan_folders))
    },
    does("pause", "/folders/{name}/pause", "Begin nothing new in a folder", || {
        post(handlers::pause_folder)
    }),
    does("resume", "/folders/{name}/resume", "Let a paused folder go on", || {
        post(handlers::resume_folder)
    }),
    reads(
        "backlog",
        "/folders/{name}/backlog",
        "List the files that were there before minuted and wait for a decision",
        "Surveyed",
        || get(handlers::show_backlog),
    ),
    Operation {
        body: Body::Json("Decision"),
        ..does("decide_backlog", "/folders/{name}/backlog", "Decide about these files", || {
            post(handlers::decide_backlog)
        })
    },
    Operation {
        body: Body::Form("Upload"),
        answer: Answer::Created("Added"),
        ..does("add", "/folders/{name}/recordings", "Add recordings to a folder", || {
            post(handlers::add_recordings).layer(DefaultBodyLimit::disable())
        })
    },
    reads(
        "whoami",
        "/services/{name}/profile",
        "Show who is signed in at a service",
        "Profile",
        || get(handlers::show_profile),
    ),
    reads(
        "sign_in",
        "/services/{name}/sign-in",
        "Show how far the last sign-in is",
        "SignIn",
        || get(handlers::show_sign_in),
    ),
    Operation {
        answer: Answer::Json("SignIn"),
        ..does(
            "begin_sign_in",
            "/services/{name}/sign-in",
            "Begin a sign-in: a person opens its link in a browser on any machine",
            || post(handlers::begin_sign_in),
        )
    },
    does("sign_out", "/services/{name}/sign-out", "Forget the sign-in at a service", || {
        post(handlers::sign_out)
    }),
    Operation {
        query: &[PAGE],
        ..reads(
            "meetings",
            "/services/{name}/meetings",
            "List a service's meetings",
            "Meetings",
            || get(handlers::list_meetings),
        )
    },
    reads(
        "meeting",
        "/services/{name}/meetings/{id}",
        "Show a meeting as the service has it",
        "Meeting",
        || get(handlers::show_meeting),
    ),
    reads("source", "/sources/{name}/recordings", "List a source's recordings", "Fetched", || {
        get(handlers::list_source)
    }),
    Operation {
        answer: Answer::Json("Placed"),
        ..does("fetch", "/sources/{name}/recordings/{id}/fetch", "Fetch a recording now", || {
            post(handlers::fetch_recording)
        })
    },
    reads("bots", "/sources/{name}/bots", "List the newest bots of a source", "Bots", || {
        get(vendors::list_bots)
    }),
    Operation {
        body: Body::Json("BotOrder"),
        answer: Answer::Json("BotDone"),
        ..does("send_bot", "/sources/{name}/bots", "Send a bot to a meeting", || {
            post(vendors::send_bot)
        })
    },
    Operation {
        answer: Answer::Json("BotDone"),
        ..does(
            "recall_bot",
            "/sources/{name}/bots/{id}/leave",
            "Have a bot leave its meeting, or never join it",
            || post(vendors::recall_bot),
        )
    },
    Operation {
        answer: Answer::Json("BotDone"),
        ..does(
            "retranscribe",
            "/sources/{name}/bots/{id}/retranscribe",
            "Have a recording transcribed again at its source",
            || post(vendors::retranscribe),
        )
    },
    reads(
        "calendars",
        "/sources/{name}/calendars",
        "List the calendars that are connected to a source's account",
        "Calendars",
        || get(vendors::list_calendars),
    ),
    Operation {
        query: &[CALENDAR],
        ..reads(
            "events",
            "/sources/{name}/events",
            "List the events to come in a source's calendars",
            "CalendarEvents",
            || get(vendors::list_events),
        )
    },
    Operation {
        body: Body::Json("BotSchedule"),
        answer: Answer::Json("EventDone"),
        ..does(
            "schedule_bot",
            "/sources/{name}/events/{id}/schedule",
            "Have a bot join the meeting of an event",
            || post(vendors::schedule_bot),
        )
    },
    Operation {
        body: Body::Json("BotUnschedule"),
        answer: Answer::Json("EventDone"),
        ..does(
            "unschedule_bot",
            "/sources/{name}/events/{id}/unschedule",
            "Have no bot join the meeting of an event",
            || post(vendors::unschedule_bot),
        )
    },
    Operation {
        query: &[MAIL],
        answer: Answer::Json("Findings"),
        ..does("check", "/check", "Try everything for real, without leaving a trace", || {
            post(machine::check)
        })
    },
    Operation {
        answer: Answer::File(machine::SQLITE),
        ..reads("backup", "/backup", "Copy the queue", "", || get(machine::back_up))
    },
];

impl Operation {
    /// Returns the names of the places in its path.
    pub(super) fn places(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}
