//! The bytes of a mail: its head, and its parts in the shorter of two encodings.

use lettre::{
    Address,
    message::{
        Body, Mailbox, Message, MultiPart, SinglePart,
        header::{
            ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
        },
    },
};

use super::{
    letter::{Letter, LetterForm},
    mail_error::MailError,
    quoted::{is_shorter, quoted_printable},
};
use crate::{clock, text::one_line};

/// The longest subject in characters.
const SUBJECT_CHARS: usize = 250;

/// The longest name of a person or of an attachment in characters.
const NAME_CHARS: usize = 250;

/// Returns the mail between two mailboxes that are clean.
pub(super) fn compose_message(
    from: &Mailbox,
    to: &Mailbox,
    subject: &str,
    id: &str,
    body: MultiPart,
) -> Result<Message, MailError> {
    Message::builder()
        .date(clock::now().into())
        .message_id(Some(id.to_owned()))
        .from(from.clone())
        .to(to.clone())
        .subject(one_line(subject, SUBJECT_CHARS))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            // RFC 3834: an out-of-office reply to it is not wanted.
            "auto-generated".to_owned(),
        ))
        .multipart(body)
        .map_err(|error| MailError::Refused {
            message: format!("the mail cannot be made: {error}"),
            code: None,
            is_content: false,
        })
}

/// The head of the mail that the test button would send under this subject to this mailbox.
#[cfg(any(test, fuzzing))]
pub(in crate::delivery) fn head(to: &Mailbox, subject: &str) -> Option<String> {
    let to = clean_mailbox(to).ok()?;
    let body = MultiPart::mixed().singlepart(text_part(ContentType::TEXT_PLAIN, ""));
    let message = compose_message(&to, &to, subject, "<id@example.com>", body).ok()?.formatted();
    let text = String::from_utf8_lossy(&message).into_owned();
    text.split_once("\r\n\r\n").map(|(head, _)| head.to_owned())
}

/// Returns the parts of a letter in its form.
pub(super) fn body_of(letter: &Letter) -> MultiPart {
    let text = text_part(ContentType::TEXT_PLAIN, &letter.text);
    if letter.form == LetterForm::TextAlone {
        return MultiPart::mixed().singlepart(text);
    }
    let readable = MultiPart::alternative()
        .singlepart(text)
        .singlepart(text_part(ContentType::TEXT_HTML, &letter.html));
    if letter.form == LetterForm::WithoutFile {
        return readable;
    }
    // As bytes: text would have its line ends changed, and the file is to be the file beside.
    let markdown = letter.markdown.as_bytes();
    let attachment = SinglePart::builder()
        .header(markdown_type())
        .header(ContentDisposition::attachment(&one_line(&letter.attachment, NAME_CHARS)));
    let attachment = if is_shorter(markdown) {
        let encoding = ContentTransferEncoding::QuotedPrintable;
        attachment
            .header(encoding)
            .body(Body::dangerous_pre_encoded(quoted_printable(markdown), encoding))
    } else {
        attachment.header(ContentTransferEncoding::Base64).body(markdown.to_vec())
    };
    MultiPart::mixed().multipart(readable).singlepart(attachment)
}

/// Returns a text part in quoted-printable or in base64, whichever is shorter: no line of either
/// can be too long or end in a bare line feed, and each dot at the beginning of one is doubled on
/// the way.
pub(super) fn text_part(kind: ContentType, text: &str) -> SinglePart {
    let text = text.replace("\r\n", "\n");
    let encoding = if is_shorter(text.as_bytes()) {
        ContentTransferEncoding::QuotedPrintable
    } else {
        ContentTransferEncoding::Base64
    };
    SinglePart::builder().header(kind).header(encoding).body(text)
}

fn markdown_type() -> ContentType {
    ContentType::parse("text/markdown; charset=utf-8").expect("a MIME type as RFC 7763 has it")
}

/// Returns the mailbox as it fits into a header: its name on one line, its domain in ASCII.
pub(super) fn clean_mailbox(mailbox: &Mailbox) -> Result<Mailbox, MailError> {
    let shown: &str = mailbox.email.as_ref();
    let refused = || MailError::Refused {
        message: format!(
            "`{}` is not an address that mail can be sent to",
            one_line(shown, NAME_CHARS)
        ),
        code: None,
        is_content: false,
    };
    if shown.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(refused());
    }
    let email = if mailbox.email.domain().is_ascii() {
        mailbox.email.clone()
    } else {
        let domain = url::Host::parse(mailbox.email.domain()).map_err(|_| refused())?;
        Address::new(mailbox.email.user(), domain.to_string()).map_err(|_| refused())?
    };
    let name = mailbox
        .name
        .as_deref()
        .map(|name| one_line(name, NAME_CHARS))
        .filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, email))
}
