//! The pages for people: their links resolve, and the commands, options and keys in them exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The program whose commands the pages explain.
const PROGRAM: &str = env!("CARGO_BIN_EXE_minuted");

/// A page for people, in Markdown.
struct Page {
    /// Relative to the root of the source.
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(root().join(path));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text }
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }

    /// Returns where each link and image of the page points.
    fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for event in self.events() {
            if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
                links.push(dest_url.to_string());
            }
        }
        links
    }

    /// Returns the anchors of the headings, as forges form them from the words.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        let mut heading: Option<String> = None;
        for event in self.events() {
            if let Event::Start(Tag::Heading { .. }) = event {
                heading = Some(String::new());
            } else if let Event::End(TagEnd::Heading(_)) = event {
                anchors.extend(heading.take().map(|heading| anchor(&heading)));
            } else if let Event::Text(text) | Event::Code(text) = event
                && let Some(heading) = &mut heading
            {
                heading.push_str(&text);
            }
        }
        anchors
    }

    /// Returns the code spans.
    fn codes(&self) -> Vec<String> {
        let mut codes = Vec::new();
        for event in self.events() {
            if let Event::Code(code) = event {
                codes.push(code.to_string());
            }
        }
        codes
    }

    /// Returns the text of the code blocks of a language.
    fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut is_inside = false;
        for event in self.events() {
            if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(name))) = event {
                is_inside = &*name == language;
            } else if let Event::End(TagEnd::CodeBlock) = event {
                is_inside = false;
            } else if let Event::Text(text) = event
                && is_inside
            {
                blocks.push(text.to_string());
            }
        }
        blocks
    }

    /// Returns the code spans and the lines of shell blocks, comments removed.
    fn commands(&self) -> Vec<String> {
        let mut commands = self.codes();
        for block in self.blocks("sh") {
            let lines = block.lines().filter_map(|line| line.split('#').next());
            commands.extend(lines.map(str::to_owned));
        }
        commands
    }
}

/// Returns each use of the program in a command line: the words after its name.
///
/// `sudo -u minuted minuted check` runs it, `systemctl start minuted` does not.
fn uses(command: &str) -> Vec<Vec<String>> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut uses = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let is_first = at == 0 || ["minuted", "&&", "|"].contains(&words[at - 1]);
        if *word != "minuted" || !is_first {
            continue;
        }
        let arguments = words[at + 1..].iter().take_while(|word| !["|", "&&"].contains(word));
        let arguments: Vec<String> = arguments.map(|word| (*word).to_owned()).collect();
        // A user's name, or a place for any command.
        if arguments.first().is_some_and(|word| word != "minuted" && word != "…") {
            uses.push(arguments);
        }
    }
    uses
}

/// The help of the program, each text asked for once.
#[derive(Default)]
struct Help(BTreeMap<Vec<String>, String>);

impl Help {
    /// Returns the help of a command, of the program itself where `command` is empty.
    fn text(&mut self, command: &[String]) -> &str {
        self.0.entry(command.to_vec()).or_insert_with(|| {
            let output = Command::new(PROGRAM).args(command).arg("--help").output().expect("run");
            assert!(output.status.success(), "`minuted {} --help` fails", command.join(" "));
            String::from_utf8(output.stdout).expect("UTF-8")
        })
    }

    /// Returns the names in the list of commands below a command.
    fn commands_below(&mut self, command: &[String]) -> BTreeSet<String> {
        let lines = self.text(command).lines().skip_while(|line| *line != "Commands:").skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        // Lines that are indented further go on with the text of the one before.
        let entries = lines.filter(|line| !line.starts_with("   "));
        entries.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// Returns the name of the first thing in `words` that the program does not have.
    fn missing(&mut self, words: &[String]) -> Option<String> {
        let mut command = Vec::new();
        let mut rest = words.iter();
        while let names = self.commands_below(&command)
            && !names.is_empty()
            && let Some(word) = rest.next()
        {
            // `bot list|leave` names two.
            let named: Vec<&str> = word.split('|').collect();
            if named.iter().any(|name| !names.contains(*name)) {
                return Some(format!("{} {word}", command.join(" ")));
            }
            command.push(named[0].to_owned());
        }
        let options = rest.filter(|word| word.starts_with("--") && word.len() > 2);
        let mut names = options.filter_map(|option| option.split('=').next());
        let help = self.text(&command);
        names.find(|name| !help.contains(*name)).map(|name| format!("{} {name}", command.join(" ")))
    }
}

/// Returns the anchor that a forge gives a heading: lower case, hyphens for blanks, no punctuation.
fn anchor(heading: &str) -> String {
    let heading = heading.trim().to_lowercase().replace(' ', "-");
    let is_kept = |letter: &char| letter.is_alphanumeric() || ['-', '_'].contains(letter);
    heading.chars().filter(is_kept).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns whether a path relative to the root names a page that exists.
fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "md") && root().join(path).exists()
}

/// Returns README, CONTRIBUTING and every page of `docs/`.
fn pages() -> Vec<Page> {
    let mut paths = ["README.md", "CONTRIBUTING.md"].map(PathBuf::from).to_vec();
    for entry in fs::read_dir(root().join("docs")).expect("docs/") {
        paths.push(Path::new("docs").join(entry.expect("an entry").file_name()));
    }
    paths.retain(|path| is_page(path));
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

#[test]
fn every_link_between_pages_resolves() {
    let mut broken = Vec::new();
    for page in pages() {
        for link in page.links().into_iter().filter(|link| !link.contains("://")) {
            let (file, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let directory = page.path.parent().expect("a page is a file");
            let target = if file.is_empty() { page.path.clone() } else { directory.join(file) };
            let resolves = root().join(&target).exists()
                && (fragment.is_empty() || Page::read(&target).anchors().contains(fragment));
            if !resolves {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let mut reached = BTreeSet::from([PathBuf::from("README.md")]);
    let mut open: Vec<PathBuf> = reached.iter().cloned().collect();
    while let Some(path) = open.pop() {
        for link in Page::read(&path).links() {
            let file = link.split('#').next().expect("a first part");
            let target = path.parent().expect("a page is a file").join(file);
            let target = target.strip_prefix("docs/..").unwrap_or(&target).to_owned();
            if is_page(&target) && reached.insert(target.clone()) {
                open.push(target);
            }
        }
    }
    let paths = pages().into_iter().map(|page| page.path);
    let lost: Vec<PathBuf> = paths.filter(|path| !reached.contains(path)).collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}

#[test]
fn every_command_and_option_that_a_page_names_exists() {
    let mut help = Help::default();
    let mut missing = Vec::new();
    let mut checked = 0;
    for page in pages() {
        for words in page.commands().iter().flat_map(|command| uses(command)) {
            checked += 1;
            if let Some(name) = help.missing(&words) {
                missing.push(format!("{}: no `minuted {}`", page.path.display(), name.trim()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(checked > 50, "the pages name {checked} commands: are they read?");
}

#[test]
fn the_page_of_commands_lists_every_command() {
    let commands = Page::read(Path::new("docs/commands.md")).commands();
    let uses = commands.iter().flat_map(|command| uses(command));
    let named: BTreeSet<String> = uses.map(|words| words[0].clone()).collect();
    let mut missing = Help::default().commands_below(&[]);
    missing.retain(|name| name != "help" && !named.contains(name));
    assert!(missing.is_empty(), "docs/commands.md does not name {missing:?}");
}

/// Returns the text of every source file below `src` and `tests`.
fn source_texts() -> Vec<String> {
    let mut texts = Vec::new();
    let mut directories = vec![root().join("src"), root().join("tests/it")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                texts.push(fs::read_to_string(path).expect("UTF-8"));
            }
        }
    }
    texts
}

/// Returns whether a code span names a source file or a directory.
fn is_path(code: &str) -> bool {
    code.ends_with('/') || Path::new(code).extension().is_some_and(|end| end == "rs")
}

/// Returns whether a code span names a test: at least four words.
fn is_test_name(code: &str) -> bool {
    let is_name = code.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    is_name && code.matches('_').count() >= 3
}

#[test]
fn every_file_and_test_that_the_architecture_names_exists() {
    let front_page = fs::read_to_string(root().join("src/lib.rs")).expect("the front page");
    let lines = front_page.lines().map_while(|line| line.strip_prefix("//!"));
    let front_page: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let front_page = Page { path: PathBuf::from("src/lib.rs"), text: front_page.join("\n") };
    let sources = source_texts();
    let mut missing = Vec::new();
    let pages = ["docs/ARCHITECTURE.md", "CONTRIBUTING.md"].map(|path| Page::read(Path::new(path)));
    for page in pages.into_iter().chain([front_page]) {
        for code in page.codes() {
            let exists = if is_path(&code) {
                ["", "src"].iter().any(|base| root().join(base).join(&code).exists())
            } else if is_test_name(&code) {
                let function = format!("fn {code}(");
                sources.iter().any(|text| text.contains(&function))
            } else {
                true
            };
            if !exists {
                missing.push(format!("{}: {code}", page.path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Returns the keys of the example, by the header of their table as it stands in the file.
fn keys_of_the_example() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("config.example.toml")).expect("the example");
    let mut tables = BTreeMap::from([(String::new(), BTreeSet::new())]);
    let mut table = String::new();
    for line in text.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            line.trim_end().clone_into(&mut table);
            tables.entry(table.clone()).or_default();
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            tables.get_mut(&table).expect("a table that has begun").insert(key.to_owned());
        }
    }
    tables
}

/// Returns the first cells of the page of the configuration, by the table that the heading names.
fn keys_of_the_page() -> BTreeMap<String, BTreeSet<String>> {
    let page = Page::read(Path::new("docs/configuration.md"));
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut table = String::new();
    let mut is_heading = false;
    let mut is_first_cell = false;
    for event in page.events() {
        if let Event::Start(Tag::Heading { .. }) = event {
            is_heading = true;
        } else if let Event::End(TagEnd::Heading(_)) = event {
            is_heading = false;
        } else if let Event::Start(Tag::TableRow) = event {
            is_first_cell = true;
        } else if let Event::End(TagEnd::TableCell) = event {
            is_first_cell = false;
        } else if let Event::Code(code) = event {
            if is_heading {
                table = code.to_string();
            } else if is_first_cell {
                tables.entry(table.clone()).or_default().insert(code.to_string());
            }
        }
    }
    tables
}

#[test]
fn the_page_of_the_configuration_names_the_keys_of_the_example_and_no_others() {
    let mut example = keys_of_the_example();
    // The example has these in sentences: each needs another value beside it, or excludes another key.
    for (table, key) in [
        ("[services.koldan]", "api_key_env"),
        ("[services.local]", "model"),
        ("[[notify]]", "topic_file"),
    ] {
        example.get_mut(table).expect("a table of the example").insert(key.to_owned());
    }
    assert_eq!(keys_of_the_page(), example);
}

#[test]
fn every_configuration_that_a_page_shows_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config.toml");
    let mut wrong = Vec::new();
    for page in pages() {
        for block in page.blocks("toml") {
            // A sidecar has no tables, and whisper is in no usual build.
            if !block.contains("\n[") && !block.starts_with('[') || block.contains("whisper") {
                continue;
            }
            let folder = "[[folder]]\nname = \"sales\"\npath = \"/srv/recordings/sales\"\n";
            let folder = if block.contains("[[folder]]") { "" } else { folder };
            fs::write(&file, format!("{block}\n{folder}")).expect("written");
            let mut command = Command::new(PROGRAM);
            let output = command.arg("--config").arg(&file).arg("systemd-drop-in").output();
            let output = output.expect("run");
            if !output.status.success() {
                let message = String::from_utf8_lossy(&output.stderr);
                wrong.push(format!("{}: {message}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn anchors_are_formed_as_forges_form_them() {
    assert_eq!(anchor("When a file is finished"), "when-a-file-is-finished");
    assert_eq!(anchor("`[services.paxs]`: PAXS"), "servicespaxs-paxs");
    assert_eq!(anchor("Who reads what?"), "who-reads-what");
}

#[test]
fn a_command_is_found_wherever_it_is_run() {
    assert_eq!(uses("sudo -u minuted minuted check --json"), [["check", "--json"]]);
    assert_eq!(uses("minuted systemd-drop-in | sudo tee x"), [["systemd-drop-in"]]);
    assert!(uses("sudo systemctl start minuted").is_empty());
    let mut help = Help::default();
    for (command, missing) in [
        ("minuted engine install FILE", None),
        ("minuted engine instal", Some("engine instal")),
        ("minuted jobs --states", Some("jobs --states")),
        ("minuted bot list|leave", None),
    ] {
        assert_eq!(help.missing(&uses(command)[0]).as_deref(), missing, "{command}");
    }
}
