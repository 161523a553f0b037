//! How failures are shown: places in a file with the lines around them on a terminal, one line each elsewhere.

use control::config::{ConfigErrors, Diagnostic, Severity};
use miette::{GraphicalReportHandler, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

/// What a subcommand comes to.
pub type Outcome = Result<ExitCode, Failure>;

/// Why a subcommand did not do what it was asked.
pub enum Failure {
    /// In words for the user.
    Message(String),
    /// The configuration has errors.
    Config(Box<ConfigErrors>),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Message(error.to_string())
    }
}

impl Failure {
    /// A failure in words.
    pub fn message(message: impl Display) -> Self {
        Failure::Message(message.to_string())
    }

    /// A configuration with errors.
    pub fn config(errors: ConfigErrors) -> Self {
        Failure::Config(Box::new(errors))
    }

    /// Shows it on stderr.
    pub fn show(&self) {
        match self {
            Failure::Message(message) => eprintln!("braid: {message}"),
            Failure::Config(errors) => {
                show_diagnostics(&errors.diagnostics, &errors.file, &errors.text);
                let count = errors.errors();
                eprintln!("braid: {} has {count} error{}", errors.file, if count == 1 { "" } else { "s" });
            }
        }
    }
}

/// Shows on stderr what works, though probably not as meant.
pub fn show_warnings(warnings: &[Diagnostic], config: &control::Config) {
    show_diagnostics(warnings, config.file(), config.text());
}

fn show_diagnostics(diagnostics: &[Diagnostic], file: &str, text: &str) {
    let terminal = std::io::stderr().is_terminal();
    for diagnostic in diagnostics {
        let drawn = if terminal { draw(diagnostic, file, text) } else { None };
        eprintln!("{}", drawn.unwrap_or_else(|| diagnostic.line(file, text)));
    }
}

/// With the lines around the place. `None` when there is no text to draw from.
fn draw(diagnostic: &Diagnostic, file: &str, text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let severity = match diagnostic.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    let start = diagnostic.span.start.min(text.len());
    let end = diagnostic.span.end.clamp(start, text.len());
    let mut drawing = MietteDiagnostic::new(&diagnostic.message)
        .with_severity(severity)
        .with_label(LabeledSpan::underline(start..end));
    if let Some(help) = &diagnostic.help {
        drawing = drawing.with_help(help);
    }
    let report = Report::new(drawing).with_source_code(NamedSource::new(file, text.to_owned()));
    let mut out = String::new();
    GraphicalReportHandler::new().render_report(&mut out, report.as_ref()).ok()?;
    Some(out)
}

/// Prints to stdout. A reader that has gone, as `head` does, is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::message(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
