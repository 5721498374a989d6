//! The page about the API: every operation, and how to call it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use maud::{Markup, html};

use super::show_page;
use crate::web::{
    Web,
    api::{
        DOCUMENT, PREFIX,
        operations::{Body, OPERATIONS, Operation},
    },
};

pub(in crate::web) async fn show(State(web): State<Arc<Web>>) -> Response {
    let address = format!("{}{PREFIX}", web.settings.origin());
    let content = html! {
        h1 { "API" }
        p { "Programs do here what the commands do. " a href=(DOCUMENT) { "The OpenAPI document" }
            " describes every operation and its answers." }
        p { "Each request needs the token that this prints:" }
        pre { code { "minuted page --api-token" } }
        pre { code {
            "curl -H \"Authorization: Bearer $TOKEN\" " (address) "/status\n"
            "curl -H \"Authorization: Bearer $TOKEN\" -F recording=@talk.wav " (address) "/folders/NAME/recordings"
        } }
        div.wide {
            table {
                thead { tr {
                    th scope="col" { "Operation" } th scope="col" { "Purpose" } th scope="col" { "Query or body" }
                } }
                tbody { @for operation in OPERATIONS { (row(operation)) } }
            }
        }
    };
    show_page("API", "", None, &content)
}

fn row(operation: &Operation) -> Markup {
    html! {
        tr {
            th scope="row" { code { (operation.method.to_uppercase()) " " (operation.path) } }
            td { (operation.summary) }
            td {
                @for parameter in operation.query {
                    div { code { (parameter.name) } " " span.quiet { (parameter.summary) } }
                }
                @match operation.body {
                    Body::Nothing => {}
                    Body::Json(schema) => { "JSON: " code { (schema) } }
                    Body::Form(schema) => { "form: " code { (schema) } }
                }
            }
        }
    }
}
