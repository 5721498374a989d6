//! The conversation with a mail server: connected, protected, greeted and signed in, each step under a limit.

use std::{fmt::Display, path::Path, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        self,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::Ehlo,
        extension::{ClientId, Extension, MailParameter},
        response::Response,
    },
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    limited::{self, ConnectError},
    mail_error::{Fault, MailError},
};
use crate::{
    config::{SecretFileError, Smtp, Tls, read_secret},
    text::one_line,
};

/// The time limits of the steps of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct MailLimits {
    /// To connect, to protect and to be greeted.
    pub connect: Duration,
    /// Limit for the answer to one command.
    pub command: Duration,
    /// Limit from the first byte of the mail to the answer that the server has it.
    pub message: Duration,
}

impl Default for MailLimits {
    /// RFC 5321 § 4.5.3.2 asks for 5 min a command, which was meant for the modems of 1989, and for 10 min after the
    /// last byte; the latter is kept, for to give up there means to send the mail twice.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(60),
            message: Duration::from_secs(600),
        }
    }
}

/// The longest good-bye; the mail is delivered by then.
const GOOD_BYE: Duration = Duration::from_secs(5);

/// While a server says nothing, it is asked after this part of the limit whether it waits for TLS: 5 of 30 s.
const SILENCE_PART: u32 = 6;

/// Servers on this port never begin with TLS, and some take a client that speaks before them for a robot.
const PLAIN_PORT: u16 = 25;

/// The longest name of a server in characters.
const NAME_CHARS: usize = 250;

/// A conversation that is protected and signed in.
pub(super) struct Conversation {
    connection: AsyncSmtpConnection,
    /// The largest mail that the server takes, where it tells (RFC 1870); 0 where it only says that it has a limit.
    bytes_max: Option<usize>,
    host: String,
    limits: MailLimits,
}

impl Conversation {
    /// Connects, protects the conversation and signs in.
    ///
    /// # Errors
    /// [`MailError::Later`] or [`MailError::Setup`]: what goes wrong here concerns every mail.
    pub(super) async fn open(smtp: &Smtp, limits: MailLimits) -> Result<Self, MailError> {
        let credentials = match (&smtp.username, &smtp.password_file) {
            (Some(username), Some(file)) => Some((username.clone(), read_password(file)?)),
            (Some(_), None) | (None, Some(_) | None) => None,
        };
        let name = ClientId::default();
        let connection = Box::pin(connect_and_greet(smtp, &name, limits)).await?;
        let mut conversation =
            Self { connection, bytes_max: None, host: smtp.host.clone(), limits };
        if smtp.tls == Tls::Starttls {
            let upgrade = Box::pin(conversation.connection.starttls(tls_to(smtp)?, &name));
            within_limit(&smtp.host, limits.connect, upgrade).await.map_err(Fault::of_server)?;
        }
        conversation.ask_size(name).await?;
        if let Some((username, password)) = credentials {
            let signed_in = conversation.sign_in(username, &password).await;
            if signed_in.is_err() {
                conversation.say_goodbye().await;
            }
            signed_in?;
        }
        Ok(conversation)
    }

    /// Sends a command; any answer but a positive one is a fault.
    pub(super) async fn send_command(&mut self, command: impl Display) -> Result<Response, Fault> {
        within_limit(&self.host, self.limits.command, self.connection.command(command)).await
    }

    /// Hands over the mail itself, after `DATA`.
    pub(super) async fn send_message(&mut self, message: &[u8]) -> Result<(), Fault> {
        within_limit(&self.host, self.limits.message, self.connection.message(message))
            .await
            .map(drop)
    }

    /// Ends the conversation; a server that does not answer is not waited for.
    pub(super) async fn say_goodbye(&mut self) {
        quit_connection(&mut self.connection, self.limits).await;
    }

    /// Returns the parameters of `MAIL` besides the sender, or that the server accepts no such
    /// mail.
    pub(super) fn mail_parameters(
        &self,
        from: &Address,
        to: &Address,
        message: &[u8],
    ) -> Result<Vec<MailParameter>, MailError> {
        let mut options = Vec::new();
        let wide =
            [from, to].iter().any(|address| !address.to_string().is_ascii()) || !message.is_ascii();
        if wide {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let message = "the server takes no addresses outside ASCII (SMTPUTF8)".to_owned();
                return Err(MailError::Refused { message, code: None, is_content: false });
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        match self.bytes_max {
            Some(bytes_max) if bytes_max > 0 && message.len() > bytes_max => {
                let message = format!(
                    "the mail has {} bytes, and the mail server takes {bytes_max}",
                    message.len()
                );
                return Err(MailError::TooLarge { message });
            }
            Some(_) => options.push(MailParameter::Size(message.len())),
            None => {}
        }
        Ok(options)
    }

    /// Asks for the largest mail that the server takes. lettre has greeted already, and keeps nothing of the answer that it
    /// does not use itself.
    async fn ask_size(&mut self, name: ClientId) -> Result<(), MailError> {
        let answer = self.send_command(Ehlo::new(name)).await.map_err(Fault::of_server)?;
        self.bytes_max = answer.message().find_map(|line| {
            let mut words = line.split_whitespace();
            let is_size = words.next().is_some_and(|word| word.eq_ignore_ascii_case("SIZE"));
            is_size.then(|| words.next().and_then(|bytes| bytes.parse().ok()).unwrap_or(0))
        });
        Ok(())
    }

    async fn sign_in(
        &mut self,
        username: String,
        password: &SecretString,
    ) -> Result<(), MailError> {
        let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let signing_in = self.connection.auth(&mechanisms, &credentials);
        let answer = within_limit(&self.host, self.limits.command, signing_in).await;
        answer.map(drop).map_err(|fault| {
            fault.redact_credentials(&username, password.expose_secret()).of_server()
        })
    }
}

async fn connect_and_greet(
    smtp: &Smtp,
    name: &ClientId,
    limits: MailLimits,
) -> Result<AsyncSmtpConnection, MailError> {
    let tls = if smtp.tls == Tls::Tls { Some(tls_to(smtp)?) } else { None };
    let begins_with_tls = tls.is_some();
    let mut connecting = Box::pin(connect(smtp, name, tls, limits));
    if begins_with_tls || smtp.port == PLAIN_PORT {
        return connecting.await.map_err(Fault::of_server);
    }
    tokio::select! {
        connected = &mut connecting => connected.map_err(Fault::of_server),
        // It says nothing: either it is slow, or it waits for the client to begin with TLS.
        true = Box::pin(waits_for_tls(smtp, name, limits)) => Err(MailError::Setup {
            message: format!(
                "the mail server `{}` waits for TLS on port {}: set tls = \"tls\" in [email] smtp, or use the port for \
                 tls = \"starttls\" (587)",
                smtp.host, smtp.port
            ),
        }),
        else => Err(Fault::of_silence(&smtp.host, limits.connect).of_server()),
    }
}

async fn connect(
    smtp: &Smtp,
    name: &ClientId,
    tls: Option<TlsParameters>,
    limits: MailLimits,
) -> Result<AsyncSmtpConnection, Fault> {
    let host = &smtp.host;
    let greeted = async {
        let stream = limited::connect(host.trim_matches(['[', ']']), smtp.port, tls)
            .await
            .map_err(|error| match error {
                ConnectError::Network(error) => Fault::of_network(host, &error),
                ConnectError::Tls(error) => Fault::from_smtp(host, &error),
            })?;
        let greeting = AsyncSmtpConnection::connect_with_transport(stream, name).await;
        greeting.map_err(|error| Fault::from_smtp(host, &error))
    };
    let in_time = tokio::time::timeout(limits.connect, greeted).await;
    in_time.unwrap_or_else(|_| Err(Fault::of_silence(host, limits.connect)))
}

/// Returns whether a server that has said nothing for a while speaks when it is greeted by TLS: also a certificate that is
/// refused is an answer.
async fn waits_for_tls(smtp: &Smtp, name: &ClientId, limits: MailLimits) -> bool {
    tokio::time::sleep(limits.connect / SILENCE_PART).await;
    let Ok(tls) = tls_to(smtp) else { return false };
    match connect(smtp, name, Some(tls), limits).await {
        Ok(mut connection) => {
            quit_connection(&mut connection, limits).await;
            true
        }
        Err(fault) => fault.is_about_certificate(),
    }
}

async fn quit_connection(connection: &mut AsyncSmtpConnection, limits: MailLimits) {
    if tokio::time::timeout(limits.command.min(GOOD_BYE), connection.abort()).await.is_err() {
        tracing::debug!("the mail server did not answer QUIT");
    }
}

async fn within_limit<T>(
    host: &str,
    limit: Duration,
    step: impl Future<Output = Result<T, smtp::Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, step).await {
        Ok(done) => done.map_err(|error| Fault::from_smtp(host, &error)),
        Err(_) => Err(Fault::of_silence(host, limit)),
    }
}

fn tls_to(smtp: &Smtp) -> Result<TlsParameters, MailError> {
    TlsParameters::new(smtp.host.clone()).map_err(|error| MailError::Setup {
        message: format!("TLS to `{}` cannot be set up: {error}", one_line(&smtp.host, NAME_CHARS)),
    })
}

/// Reads the password at each connection, so that it may be changed under a running daemon.
fn read_password(path: &Path) -> Result<SecretString, MailError> {
    read_secret(path).map_err(|error| {
        let message = format!("the password file {error}");
        match error {
            SecretFileError::Unreadable { .. } => MailError::Later { message, is_alone: false },
            SecretFileError::Open(_) => MailError::Setup { message },
        }
    })
}
