//! The texts that minuted writes itself, filled in by minijinja. The names end in what they are: `.html` is escaped.

use std::sync::LazyLock;

use minijinja::{
    AutoEscape, Environment, UndefinedBehavior, Value, syntax::SyntaxConfig, value::Serde,
};
use serde::Serialize;

/// A text with places to fill in.
#[derive(Debug, Clone, Copy)]
pub(in crate::delivery) enum Template {
    /// The HTML of a mail with notes.
    MailHtml,
    /// The plain text of a mail with notes.
    MailText,
    /// The plain text of a digest to the operator.
    Digest,
    /// The file beside a recording that failed.
    Failed,
}

impl Template {
    const ALL: [Self; 4] = [Self::MailHtml, Self::MailText, Self::Digest, Self::Failed];

    fn name(self) -> &'static str {
        match self {
            Self::MailHtml => "mail.html",
            Self::MailText => "mail.txt",
            Self::Digest => "digest.txt",
            Self::Failed => "failed.txt",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::MailHtml => include_str!("templates/mail.html"),
            Self::MailText => include_str!("templates/mail.txt"),
            Self::Digest => include_str!("templates/digest.txt"),
            Self::Failed => include_str!("templates/failed.txt"),
        }
    }
}

/// Returns the template with `values` in it.
pub(in crate::delivery) fn fill_template(template: Template, values: impl Serialize) -> String {
    let values = Value::from(Serde(values));
    let template =
        ENVIRONMENT.get_template(template.name()).expect("every template is added below");
    template
        .render(values)
        .expect("a test fills every template, and an undefined value is an error")
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters do not clash"));
    environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
        Some((_, "txt")) => AutoEscape::None,
        Some(_) | None => AutoEscape::Html,
    });
    for template in Template::ALL {
        environment
            .add_template_owned(template.name(), template.source())
            .expect("a template that ships is well formed");
    }
    environment
});
