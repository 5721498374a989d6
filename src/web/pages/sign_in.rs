//! A sign-in at a service: the link to open, and what became of it.

use axum::response::Response;
use maud::html;

use super::{overview::encode, show_page};
use crate::{text::printable, web::sign_in::SignInState};

pub(in crate::web) fn show(service: &str, state: Option<&SignInState>) -> Response {
    let again = format!("/services/{}/sign-in", encode(service));
    let content = html! {
        h1 { "Sign in at " (printable(service)) }
        section #sign-in data-live aria-label="Sign-in" {
            @match state {
                Some(SignInState::Waiting(link)) => {
                    p { "Open this link and sign in there, within five minutes:" }
                    p { a href=(link) target="_blank" rel="noopener noreferrer" { "Sign in at " (printable(service)) } }
                    p.quiet { "minuted asks every few seconds whether you have. "
                        a href=(again) { "Look again" } }
                }
                Some(SignInState::Done) => { p.calm role="status" { "Signed in. Recordings go on." } }
                Some(SignInState::Failed(reason)) => {
                    p role="status" { "That did not work: " (printable(reason)) }
                    form method="post" action=(again) { button { "Try again" } }
                }
                None => { form method="post" action=(again) { button { "Sign in" } } }
            }
        }
        p { a href="/" { "Back to the overview" } }
    };
    show_page("Sign in", "", None, &content)
}
