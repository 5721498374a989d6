//! ffmpeg for the recogniser, which may start no process once it is confined.
//!
//! Before that it starts a lender: this program once more, which reads nothing but the recogniser's
//! orders. It runs one ffmpeg at a time and hands over the ends of its pipes. Orders and answers
//! are packets of JSON on one socket, the descriptors come with the answer. The lender reaches no
//! more files than its ffmpeg does, and ends with the recogniser.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};

use super::{
    audio::ffmpeg::{
        Ffmpeg, FfmpegEnd, FfmpegProcess, StartFfmpeg, StartedFfmpeg, limited_command,
    },
    ffmpeg_child::FFMPEG_LIMITS,
    limits::end_with,
    memory_kills::MemoryKills,
    run::this_program,
};
use crate::confine::{Reach, Role, confine_files};

/// Bytes of a packet: the longest arguments, those of a mix of all sound tracks, have some
/// thousand.
const PACKET_MAX: usize = 64 * 1024;

/// An order of the recogniser.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LenderOrder {
    /// An ffmpeg with these arguments.
    Run(Vec<String>),
    /// Waits for the end of the running ffmpeg.
    Wait,
    /// Ends the running ffmpeg. No answer.
    GiveUp,
}

/// The answer to an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LenderAnswer {
    /// ffmpeg runs; the ends of its pipes come along, the sound first and then its messages.
    Runs,
    /// ffmpeg could not be started, or not be waited for.
    Failed(String),
    /// ffmpeg ended with this status of the kernel, for lack of memory or not.
    Ended { status: i32, lacked_memory: bool },
}

/// The recogniser's side.
#[derive(Debug)]
pub(super) struct FfmpegLender {
    socket: Arc<File>,
}

impl FfmpegLender {
    /// Starts the lender of `program` for an open recording.
    pub(super) fn start(program: &Path, recording: &File) -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (own, other) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new(this_program());
        command.args(["engine-work", "--parent"]).arg(std::process::id().to_string());
        command.arg("--lend").arg(program).env_clear().current_dir("/");
        // Its messages go where this process's own go.
        command
            .stdin(recording.try_clone()?)
            .stdout(Stdio::from(other))
            .stderr(Stdio::inherit())
            .spawn()?;
        Ok(Self { socket: Arc::new(File::from(own)) })
    }
}

impl StartFfmpeg for FfmpegLender {
    fn spawn(&self, _file: &File, arguments: &[String]) -> io::Result<StartedFfmpeg> {
        send_packet(&self.socket, &LenderOrder::Run(arguments.to_vec()))?;
        let mut descriptors = Vec::new();
        match receive_answer(&self.socket, &mut descriptors)? {
            LenderAnswer::Runs => {}
            LenderAnswer::Failed(error) => return Err(io::Error::other(error)),
            LenderAnswer::Ended { .. } => return Err(io::ErrorKind::InvalidData.into()),
        }
        let [output, words] =
            descriptors.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let process = Box::new(LentFfmpeg { socket: Arc::clone(&self.socket), is_over: false });
        Ok(StartedFfmpeg { output: output.into(), words: words.into(), process })
    }
}

/// An ffmpeg that the lender runs.
#[derive(Debug)]
struct LentFfmpeg {
    socket: Arc<File>,
    is_over: bool,
}

impl FfmpegProcess for LentFfmpeg {
    fn wait(&mut self) -> io::Result<FfmpegEnd> {
        self.is_over = true;
        send_packet(&self.socket, &LenderOrder::Wait)?;
        match receive_answer(&self.socket, &mut Vec::new())? {
            LenderAnswer::Ended { status, lacked_memory } => {
                Ok(FfmpegEnd { status: ExitStatus::from_raw(status), lacked_memory })
            }
            LenderAnswer::Failed(error) => Err(io::Error::other(error)),
            LenderAnswer::Runs => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn give_up(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            // A lender that is gone has taken its ffmpeg along.
            drop(send_packet(&self.socket, &LenderOrder::GiveUp));
        }
    }
}

fn send_packet(mut socket: &File, packet: &impl Serialize) -> io::Result<()> {
    socket.write_all(&serde_json::to_vec(packet)?)
}

/// Receives an answer and the descriptors that come with it.
fn receive_answer(socket: &File, descriptors: &mut Vec<OwnedFd>) -> io::Result<LenderAnswer> {
    let mut packet = vec![0; PACKET_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut packet)];
    let received = rustix::net::recvmsg(socket, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(given) = message {
            descriptors.extend(given);
        }
    }
    if received.bytes == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the process that starts ffmpeg is gone",
        ));
    }
    Ok(serde_json::from_slice(&packet[..received.bytes])?)
}

/// Lends ffmpeg to the parent until that ends: the work of the process.
///
/// # Errors
/// When it cannot be confined, or not speak with its parent.
pub(crate) fn lend(program: &Path, parent: u32) -> io::Result<()> {
    end_with(parent)?;
    FFMPEG_LIMITS.apply_limits()?;
    let kills = MemoryKills::begin();
    let orders = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdout(io::stderr())?;
    let recording = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let reach =
        Reach::for_program(program).with_program(this_program()).with_open(io::stdin(), false)?;
    confine_files(Role::Ffmpeg, &reach).map_err(io::Error::other)?;
    let ffmpeg = Ffmpeg { command: limited_command(program, 0) };
    LenderServer { ffmpeg, recording, orders, kills, at_work: None }.serve_orders()
}

/// The lender's side.
struct LenderServer {
    ffmpeg: Ffmpeg,
    recording: File,
    orders: File,
    kills: MemoryKills,
    at_work: Option<Child>,
}

impl LenderServer {
    fn serve_orders(mut self) -> io::Result<()> {
        let mut packet = vec![0; PACKET_MAX];
        loop {
            let read = self.orders.read(&mut packet)?;
            if read == 0 {
                self.end_ffmpeg();
                return Ok(());
            }
            match serde_json::from_slice(&packet[..read])? {
                LenderOrder::Run(arguments) => self.run(&arguments)?,
                LenderOrder::Wait => self.report_end()?,
                LenderOrder::GiveUp => self.end_ffmpeg(),
            }
        }
    }

    /// Starts an ffmpeg, which begins at the start of the recording: the place in it is shared by
    /// all who have it open.
    fn run(&mut self, arguments: &[String]) -> io::Result<()> {
        self.end_ffmpeg();
        self.kills.note_count();
        self.recording.rewind()?;
        let started = self
            .ffmpeg
            .build_command(&self.recording, arguments)
            .and_then(|mut command| command.spawn());
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                return send_packet(&self.orders, &LenderAnswer::Failed(error.to_string()));
            }
        };
        let (Some(output), Some(words)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        self.at_work = Some(child);
        self.hand_over([output.as_fd(), words.as_fd()])
    }

    fn hand_over(&self, descriptors: [BorrowedFd<'_>; 2]) -> io::Result<()> {
        let packet = serde_json::to_vec(&LenderAnswer::Runs)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !beside.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        rustix::net::sendmsg(
            &self.orders,
            &[IoSlice::new(&packet)],
            &mut beside,
            SendFlags::empty(),
        )?;
        Ok(())
    }

    fn report_end(&mut self) -> io::Result<()> {
        let status = match self.at_work.take() {
            Some(mut child) => child.wait(),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let answer = match status {
            Ok(status) => LenderAnswer::Ended {
                status: status.into_raw(),
                lacked_memory: self.kills.explain(status),
            },
            Err(error) => LenderAnswer::Failed(error.to_string()),
        };
        send_packet(&self.orders, &answer)
    }

    fn end_ffmpeg(&mut self) {
        if let Some(mut child) = self.at_work.take() {
            // It may be gone already; then there is nothing to end.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
