//! `minuted scan`: look through the folders now.

use std::process::ExitCode;

use serde_json::Value;

use super::{
    CommandFailure, act_and_print,
    print::{self, Column, List},
};
use crate::{
    cli,
    control::{Caller, ControlRequest},
    text::one_line,
};

pub(super) async fn run(caller: &Caller, arguments: cli::Scan) -> Result<ExitCode, CommandFailure> {
    let request = ControlRequest::Scan { dry_run: arguments.dry_run };
    if !arguments.dry_run && !arguments.output.json {
        act_and_print(caller, request).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = caller.ask(request).await?;
    if arguments.output.json {
        print::json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = found.as_array().cloned().unwrap_or_default();
    if found.is_empty() {
        print::message("nothing new lies in the folders");
        return Ok(ExitCode::SUCCESS);
    }
    let columns =
        [Column::Short("folder", 8), Column::Whole("size"), Column::Short("what happens", 12)];
    let mut list = List::new(columns, "file");
    for file in &found {
        let field =
            |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let size = file.get("size").and_then(Value::as_u64).unwrap_or_default();
        let folder = one_line(&field("folder"), 16);
        list.add([folder, print::format_size(size), one_line(&field("why"), 40)], field("path"));
    }
    list.show()?;
    Ok(ExitCode::SUCCESS)
}
