//! The recording is sent, or found where an upload whose answer was lost has left it.

use std::{fs::File, path::Path, sync::Arc};

use super::{
    StageContext, call_setback, confirm_content,
    convert::{Converted, converted},
    open_closed_recording,
};
use crate::{
    beneath::Stamp,
    config::Kind,
    effect::Effect,
    job::{EventKind, Remote, Setback, Stage},
    progress::Progress,
    services::{Attachment, CallError, Upload},
    store::Job,
    text::{one_line, strip_to_line},
};

/// A recording at the service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UploadedRecording {
    /// Its id.
    pub recording: String,
    /// The event for the job's history.
    pub how: EventKind,
}

/// Characters of the name that is sent.
const NAME_MAX: usize = 120;

/// Sends the recording of a job. `fresh` says that its meeting was created in this very run, so that nothing can be
/// there yet; otherwise the meeting is read first.
pub(crate) async fn run(
    context: &StageContext,
    job: &Job,
    fresh: bool,
    progress: Arc<Progress>,
) -> Result<UploadedRecording, Setback> {
    let Remote::Meeting { meeting } = &job.remote else {
        let error = anyhow::anyhow!("a bug: upload of a job without a meeting");
        return Err(Setback::GiveUp { error });
    };
    let UploadMaterial { file, stamp, name, mime } = find_material(context, job).await?;
    let content = file.is_none().then(|| job.file_content.clone());
    if !fresh
        && let Some(recording) = find_uploaded(context, job, meeting, &name, stamp.size).await?
    {
        return Ok(UploadedRecording { recording, how: EventKind::RecordingRecovered });
    }
    let file = match file {
        Some(file) => file,
        None => open_closed_recording(context, job).await?,
    };
    progress.start(stamp.size);
    let is_converted = content.is_none();
    let is_transcribed_here = matches!(context.service_settings.kind, Kind::Ondevice(_));
    let language = job.plan.as_ref().and_then(|plan| plan.language.clone());
    let speakers = job.plan.as_ref().map(|plan| plan.speakers).unwrap_or_default();
    let given_up = context.queue.stages().discarded_recordings(job.id).await?;
    let length_max = job.length_max;
    let expected_words = expected_words(context, job);
    let upload = Upload {
        file,
        stamp,
        content,
        name,
        mime,
        language,
        expected_words,
        speakers,
        given_up,
        length_max,
        progress,
    };
    let uploaded =
        Effect::CallUpload.during_async(context.service.upload_recording(meeting, upload)).await;
    if (is_converted || is_transcribed_here) && uploaded.is_ok() {
        // Nobody has compared what was read: what is sent is another file, or nothing is.
        let confirmed = confirm_content(context, job).await;
        if is_transcribed_here && matches!(confirmed, Err(Setback::FileChanged { .. })) {
            // What was heard may be of the other bytes.
            context.service.forget_results(meeting).await;
        }
        confirmed?;
    }
    match uploaded {
        Ok(recording) => Ok(UploadedRecording { recording, how: EventKind::RecordingUploaded }),
        Err(CallError::Refused { status: 404, .. }) => Err(missing_meeting(context, meeting).await),
        Err(error) => Err(upload_setback(context, error).await),
    }
}

/// Returns the names of the attendees and the folder's vocabulary, each once.
fn expected_words(context: &StageContext, job: &Job) -> Vec<String> {
    let attendees = job
        .plan
        .iter()
        .flat_map(|plan| &plan.attendees)
        .map(|attendee| strip_to_line(&attendee.name));
    let mut words: Vec<String> = Vec::new();
    for word in context.folder.vocabulary.iter().cloned().chain(attendees) {
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The file to send.
struct UploadMaterial {
    /// Open already where it is not the recording itself.
    file: Option<File>,
    stamp: Stamp,
    name: String,
    mime: &'static str,
}

/// Returns the recording as it is where the service takes it, else what it is converted to.
async fn find_material(context: &StageContext, job: &Job) -> Result<UploadMaterial, Setback> {
    if let Some(mime) = accepted_mime(context, &job.path) {
        return Ok(UploadMaterial {
            file: None,
            stamp: job.stamp,
            name: upload_name(&job.path),
            mime,
        });
    }
    let Some(Converted { file, stamp, extension, mime }) = converted(context, job).await? else {
        let error = anyhow::anyhow!("the service does not take this kind of file any more");
        return Err(Setback::GiveUp { error });
    };
    let name = upload_name(&job.path.with_extension(extension));
    Ok(UploadMaterial { file: Some(file), stamp, name, mime })
}

/// Returns the recording that an upload whose answer was lost has left; never one whose analysis failed before.
async fn find_uploaded(
    context: &StageContext,
    job: &Job,
    meeting: &str,
    name: &str,
    size: u64,
) -> Result<Option<String>, Setback> {
    let given_up = context.queue.stages().discarded_recordings(job.id).await?;
    let attachments = match list_attachments(context, meeting).await {
        Ok(attachments) => attachments,
        Err(CallError::Refused { status: 404, .. }) => return Err(lost_meeting()),
        Err(error) => return Err(upload_setback(context, error).await),
    };
    let ours = attachments.into_iter().find(|attachment| {
        attachment.name.as_deref() == Some(name)
            && attachment.size == Some(size)
            && !given_up.contains(&attachment.id)
    });
    Ok(ours.map(|attachment| attachment.id))
}

async fn list_attachments(
    context: &StageContext,
    meeting: &str,
) -> Result<Vec<Attachment>, CallError> {
    Effect::CallAttachments.during_async(context.service.list_attachments(meeting)).await
}

/// A 404 on upload: the meeting is gone, or something else is.
async fn missing_meeting(context: &StageContext, meeting: &str) -> Setback {
    match list_attachments(context, meeting).await {
        Err(CallError::Refused { status: 404, .. }) => lost_meeting(),
        Err(error) => upload_setback(context, error).await,
        Ok(_) => {
            let error = anyhow::anyhow!(
                "the service answered 404 to the upload, though it has the meeting"
            );
            Setback::Own { from: Stage::Upload, error }
        }
    }
}

/// A meeting that is gone is made anew; that counts, so that a service which loses every meeting is not flooded.
fn lost_meeting() -> Setback {
    Setback::Own {
        from: Stage::Create,
        error: anyhow::anyhow!("the meeting is gone at the service (404)"),
    }
}

async fn upload_setback(context: &StageContext, error: CallError) -> Setback {
    call_setback(context.service.as_ref(), Stage::Upload, error, |_, error| Setback::Own {
        from: Stage::Upload,
        error,
    })
    .await
}

fn accepted_mime(context: &StageContext, path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    let service = context.service.as_ref();
    let is_accepted = service.accepted_extensions().contains(&extension.as_str());
    is_accepted.then(|| service.mime_type(&extension))
}

/// The name that is sent: printable, in one piece, with its extension.
fn upload_name(path: &Path) -> String {
    let part = |name: Option<&std::ffi::OsStr>| {
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let clean = |text: &str| text.replace(['"', '\\', '/', ':', '*', '?', '<', '>', '|', ';'], "_");
    let stem = clean(&one_line(&part(path.file_stem()), NAME_MAX));
    format!("{stem}.{}", clean(&part(path.extension()).to_lowercase()))
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn whatever_a_recording_is_called_its_name_is_sent_in_one_short_piece(stem in prop::collection::vec(1_u8..=255, 0..250)) {
            let path = [stem.as_slice(), b"x.MP3"].concat();
            let name = upload_name(Path::new(OsStr::from_bytes(&path)));
            prop_assert!(Path::new(&name).extension() == Some(OsStr::new("mp3")) && name.chars().count() <= NAME_MAX + 4, "{:?}", name);
            prop_assert!(!name.contains(['"', '\\', '/', ';', ':']) && !name.contains(crate::text::is_unprintable), "{:?}", name);
            prop_assert_eq!(Path::new(&name).file_name(), Some(OsStr::new(&name)));
        }
    }

    #[test]
    fn the_name_that_is_sent_can_break_out_of_no_header() {
        assert_eq!(upload_name(Path::new("sub/Weekly talk.WAV")), "Weekly talk.wav");
        let name = upload_name(Path::new(OsStr::from_bytes(b"a\"\r\nX: y\xff\x1b[31m.mp3")));
        assert_eq!(name, "a_ X_ y\u{fffd}_u{1b}[31m.mp3");
    }
}
