//! The `OpenAPI` document: made of the operations, and of the schemas beside this file.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};

use super::{
    PREFIX,
    operations::{Answer, Body, OPERATIONS, Operation, Parameter},
};

/// JSON schemas of what is sent and answered.
const SCHEMAS: &str = include_str!("schemas.json");

/// Sends the document.
pub(super) async fn show() -> Response {
    match build_document() {
        Ok(document) => {
            ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
        }
        Err(error) => {
            tracing::error!("a bug: the schemas of the API are not JSON: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn build_document() -> serde_json::Result<Value> {
    let schemas: Value = serde_json::from_str(SCHEMAS)?;
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation);
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "minuted",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the commands of minuted do. `minuted page --api-token` prints the token.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": PREFIX }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Problem": {
                    "description": "an error, as RFC 9457 has it",
                    "content": { "application/problem+json": { "schema": reference("Problem") } },
                },
            },
        },
    }))
}

fn describe(operation: &Operation) -> Value {
    let places = operation.places().map(|name| {
        // Jobs have numbers; what a vendor numbers may be any word.
        let schema = if operation.path.starts_with("/jobs/") { "JobId" } else { "Name" };
        json!({ "name": name, "in": "path", "required": true, "schema": reference(schema) })
    });
    let query = operation.query.iter().map(|Parameter { name, schema, is_required, summary }| {
        json!({
            "name": name, "in": "query", "required": is_required, "description": summary,
            "schema": reference(schema),
        })
    });
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": places.chain(query).collect::<Vec<_>>(),
        "responses": responses(operation.answer),
    });
    let content = match operation.body {
        Body::Nothing => return described,
        Body::Json(schema) => ("application/json", schema),
        Body::Form(schema) => ("multipart/form-data", schema),
    };
    described["requestBody"] = json!({
        "required": true,
        "content": { content.0: { "schema": reference(content.1) } },
    });
    described
}

fn responses(answer: Answer) -> Value {
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let (code, content) = match answer {
        Answer::Json(schema) => {
            ("200", json!({ "application/json": { "schema": reference(schema) } }))
        }
        Answer::Created(schema) => {
            ("201", json!({ "application/json": { "schema": reference(schema) } }))
        }
        Answer::Notes => {
            let text = json!({ "schema": { "type": "string" } });
            let notes = json!({ "schema": reference("Notes") });
            let content = json!({
                "application/json": notes, "text/markdown": text, "text/plain": text, "text/vtt": text,
            });
            ("200", content)
        }
        Answer::File(media_type) => {
            ("200", json!({ media_type: { "schema": { "type": "string", "format": "binary" } } }))
        }
    };
    json!({ code: { "description": "done", "content": content }, "default": problem })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
