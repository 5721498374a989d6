//! The service that is made of a transcriber: it keeps the results of each job on this machine
//! until they are in the queue.
//!
//! No meeting is made: the job's key stands for it. The *upload* is the transcription, and a
//! *request* has the notes written. Both results are there when the call returns.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    AnalysisRequest, Attachment, CallError, NotesService, Upload,
    breaker::Call,
    result_cache::{CachedTranscript, ModelOutput, ResultCache},
    transcriber::{NotesWriter, Transcriber},
};
use crate::{config::Analysis, job::Report};

/// The id of the one recording of a meeting.
const RECORDING: &str = "transcript";

/// The results that are written from a transcript, with the file that caches each.
const WRITTEN: [(Analysis, &str); 2] =
    [(Analysis::MeetingNote, "note.json"), (Analysis::KeyPoints, "points.json")];

/// A transcriber with the writer of its notes and the cache of its results.
#[derive(Debug)]
pub(crate) struct TranscriberService<T> {
    transcriber: Arc<T>,
    /// `None` where minuted extracts the notes.
    writer: Option<Arc<dyn NotesWriter>>,
    cache: ResultCache,
}

impl<T: Transcriber> TranscriberService<T> {
    pub(crate) fn new(
        transcriber: Arc<T>,
        writer: Option<Arc<dyn NotesWriter>>,
        cache: ResultCache,
    ) -> Self {
        Self { transcriber, writer, cache }
    }

    /// Returns the cached transcript of a meeting, else the error of one that is gone.
    async fn require_transcript(&self, meeting: &str) -> Result<CachedTranscript, CallError> {
        self.cache
            .job_cache(meeting)
            .read_transcript()
            .await?
            .ok_or_else(CachedTranscript::missing_transcript)
    }
}

#[async_trait]
impl<T: Transcriber> NotesService for TranscriberService<T> {
    fn name(&self) -> &str {
        self.transcriber.name()
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        self.transcriber.accepted_extensions()
    }

    fn hears_all_tracks(&self) -> bool {
        self.transcriber.hears_all_tracks()
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        self.transcriber.read_profile().await
    }

    async fn read_profile_for(&self, call: Call) -> Result<Value, CallError> {
        let writer = self.writer.as_ref().filter(|_| call == Call::Request);
        let profile = match writer {
            Some(writer) => writer.read_writer_profile().await?,
            None => None,
        };
        match profile {
            Some(profile) => Ok(profile),
            None => self.read_profile().await,
        }
    }

    async fn try_writer(&self) -> Result<Option<String>, CallError> {
        match &self.writer {
            Some(writer) => writer.try_writer().await,
            None => Ok(None),
        }
    }

    async fn list_attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        let transcript = self.cache.job_cache(meeting).read_transcript().await?;
        let attachment = transcript.map(|transcript| Attachment {
            id: RECORDING.to_owned(),
            name: Some(transcript.name),
            size: Some(transcript.size),
        });
        Ok(attachment.into_iter().collect())
    }

    async fn upload_recording(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        let cache = self.cache.job_cache(meeting);
        let transcript = self.transcriber.transcribe(upload, &cache).await?;
        // The transcript of a source is there before its job, and keeps its age.
        if cache.read_transcript().await?.as_ref() != Some(&transcript) {
            cache.write_transcript(&transcript).await?;
        }
        Ok(RECORDING.to_owned())
    }

    async fn read_reports(
        &self,
        meeting: &str,
        _recording: &str,
    ) -> Result<Vec<Report>, CallError> {
        let mut reports = vec![self.require_transcript(meeting).await?.into_report()];
        let cache = self.cache.job_cache(meeting);
        for (analysis, file) in WRITTEN {
            let output = cache.read_file::<ModelOutput>(file).await?;
            reports.extend(output.map(|output| output.into_report(analysis)));
        }
        Ok(reports)
    }

    async fn request_analyses(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        let cache = self.cache.job_cache(request.meeting);
        for analysis in request.analyses {
            let file =
                WRITTEN.iter().find(|(written, _)| written == analysis).map(|(_, file)| file);
            let (Some(writer), Some(file)) = (&self.writer, file) else {
                let message = format!("it makes no {}", analysis.as_str());
                return Err(CallError::Refused { status: 400, message });
            };
            let transcript = self.require_transcript(request.meeting).await?;
            let output = if transcript.is_foreign {
                ModelOutput::of_foreign_words()
            } else {
                writer.write_notes(*analysis, request, &transcript.segments, &cache).await?
            };
            cache.write_file(file, &output).await?;
        }
        Ok(())
    }

    async fn list_meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        if page > 1 {
            return Ok(Vec::new());
        }
        let names = self.cache.list_entries().await?;
        Ok(names.into_iter().map(|name| json!({ "id": name })).collect())
    }

    async fn read_meeting(&self, id: &str) -> Result<Value, CallError> {
        let transcript = self.require_transcript(id).await?;
        let segments = transcript.segments.len();
        Ok(
            json!({ "id": id, "name": transcript.name, "size": transcript.size, "segments": segments }),
        )
    }

    async fn may_be_mended(&self) -> bool {
        self.transcriber.may_be_mended().await
    }

    async fn forget_results(&self, meeting: &str) {
        self.cache.forget_job(meeting).await;
    }

    async fn forget_voice_prints(&self, unfinished: &BTreeSet<String>) {
        self.cache.forget_voice_prints(unfinished).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use jiff::Timestamp;

    use super::*;
    use crate::{
        beneath::Stamp,
        config::MeetingType,
        job::{FOREIGN_NOTE, Segment},
        services::{
            response_parsing::ServerTranscript, result_cache::JobCache, transcriber::NotesWriter,
        },
    };

    /// A transcriber that hears one sentence, and writes notes where it is told to.
    #[derive(Debug)]
    struct Parrot {
        written: AtomicUsize,
        hears_foreign_words: bool,
    }

    #[async_trait]
    impl Transcriber for Parrot {
        fn name(&self) -> &'static str {
            "parrot"
        }

        fn accepted_extensions(&self) -> &'static [&'static str] {
            &["wav"]
        }

        async fn read_profile(&self) -> Result<Value, CallError> {
            Ok(Value::Null)
        }

        async fn transcribe(
            &self,
            recording: Upload,
            _cache: &JobCache,
        ) -> Result<CachedTranscript, CallError> {
            let segment = Segment { text: "Good morning.".to_owned(), ..Segment::default() };
            let transcript =
                ServerTranscript { segments: vec![segment], ..ServerTranscript::default() };
            let transcript =
                CachedTranscript::from_server(recording.name, recording.stamp.size, transcript);
            Ok(CachedTranscript { is_foreign: self.hears_foreign_words, ..transcript })
        }
    }

    #[async_trait]
    impl NotesWriter for Parrot {
        async fn write_notes(
            &self,
            _analysis: Analysis,
            _request: &AnalysisRequest<'_>,
            transcript: &[Segment],
            _cache: &JobCache,
        ) -> Result<ModelOutput, CallError> {
            self.written.fetch_add(1, Ordering::SeqCst);
            Ok(ModelOutput { text: transcript[0].text.clone(), ..ModelOutput::default() })
        }
    }

    fn service(root: &std::path::Path, writes: bool) -> TranscriberService<Parrot> {
        service_of(
            root,
            writes,
            Parrot { written: AtomicUsize::new(0), hears_foreign_words: false },
        )
    }

    fn service_of(
        root: &std::path::Path,
        writes: bool,
        parrot: Parrot,
    ) -> TranscriberService<Parrot> {
        let parrot = Arc::new(parrot);
        let writer = writes.then(|| Arc::clone(&parrot) as Arc<dyn NotesWriter>);
        TranscriberService::new(parrot, writer, ResultCache::per_job(root.to_owned()))
    }

    fn recording() -> Upload {
        let file: File = tempfile::tempfile().expect("a file");
        Upload {
            stamp: Stamp::of(&file).expect("a stamp"),
            file,
            content: None,
            name: "talk.wav".to_owned(),
            mime: "audio/wav",
            language: None,
            expected_words: Vec::new(),
            speakers: crate::config::Speakers::Auto,
            given_up: Vec::new(),
            length_max: None,
            progress: Arc::default(),
        }
    }

    fn request(analyses: &[Analysis]) -> AnalysisRequest<'_> {
        AnalysisRequest {
            meeting: "a.1",
            recording: RECORDING,
            analyses,
            instruction: None,
            meeting_type: MeetingType::Group,
            title: "Talk",
            recorded: Timestamp::UNIX_EPOCH,
            attendees: &[],
        }
    }

    #[tokio::test]
    async fn results_are_found_again_by_another_process_until_they_are_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = service(dir.path(), true);
        assert!(first.list_attachments("a.1").await.expect("read").is_empty());
        assert_eq!(
            first.upload_recording("a.1", recording()).await.expect("transcribed"),
            RECORDING
        );
        first.request_analyses(&request(&[Analysis::MeetingNote])).await.expect("written");
        let second = service(dir.path(), true);
        let reports = second.read_reports("a.1", RECORDING).await.expect("read");
        let analyses: Vec<Analysis> = reports.iter().map(|report| report.analysis).collect();
        assert_eq!(analyses, [Analysis::Transcription, Analysis::MeetingNote]);
        let attachment = &second.list_attachments("a.1").await.expect("read")[0];
        assert_eq!(attachment.name.as_deref(), Some("talk.wav"));
        assert_eq!(second.list_meetings(1).await.expect("listed"), [json!({ "id": "a.1" })]);
        assert!(second.list_meetings(2).await.expect("listed").is_empty());
        second.forget_results("a.1").await;
        let gone = second.read_reports("a.1", RECORDING).await;
        assert!(matches!(gone, Err(CallError::Refused { status: 404, .. })), "{gone:?}");
    }

    #[tokio::test]
    async fn no_writer_is_asked_about_words_of_another_language() {
        let dir = tempfile::tempdir().expect("a directory");
        let parrot = Parrot { written: AtomicUsize::new(0), hears_foreign_words: true };
        let service = service_of(dir.path(), true, parrot);
        service.upload_recording("a.1", recording()).await.expect("transcribed");
        service.request_analyses(&request(&[Analysis::MeetingNote])).await.expect("answered");
        let reports = service.read_reports("a.1", RECORDING).await.expect("read");
        assert_eq!(
            reports[0].findings.segments[0].text, "Good morning.",
            "the transcript is there"
        );
        assert!(reports[0].findings.is_foreign);
        assert_eq!(reports[1].findings.markdown.as_deref(), Some(FOREIGN_NOTE));
        assert_eq!(service.transcriber.written.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_transcriber_without_a_writer_refuses_notes_and_one_with_a_writer_other_results() {
        let dir = tempfile::tempdir().expect("a directory");
        for (writes, analysis) in [(false, Analysis::MeetingNote), (true, Analysis::Sentiment)] {
            let service = service(dir.path(), writes);
            service.upload_recording("a.1", recording()).await.expect("transcribed");
            let refused = service.request_analyses(&request(&[analysis])).await;
            assert!(matches!(refused, Err(CallError::Refused { status: 400, .. })), "{refused:?}");
            assert_eq!(service.transcriber.written.load(Ordering::SeqCst), 0);
        }
    }
}
