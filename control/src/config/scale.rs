//! How many workers there are while the engine runs: between which numbers they come and go by themselves, and the same
//! configuration with another number of them.

use super::Config;
use super::diagnostic::Diagnostic;
use super::section::{Section, type_of};
use super::settings::{MAX_WORKERS, counted};
use crate::cores;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// When workers come and go by themselves.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    /// The fewest workers.
    pub min: usize,
    /// The most.
    pub max: usize,
    /// Busier than this, from 0 to 1 of the time, one more is added.
    pub up: f64,
    /// Less busy than this, one is taken away.
    pub down: f64,
    /// How often the workers are looked at.
    pub every: Duration,
}

const UP: f64 = 0.8;
const DOWN: f64 = 0.3;
const EVERY: Duration = Duration::from_secs(1);
/// No more often: a change is to show before the next look.
const SHORTEST: Duration = Duration::from_millis(100);

/// Reads `scale` of `[engine]`. Where nothing says how many workers there are, `cores` become as many as the fewest.
pub(super) fn read(section: &mut Section<'_, '_, '_>, cores: &mut Vec<usize>) -> Option<Scale> {
    let value = section.value("scale")?;
    let Some(table) = value.get_ref().as_table() else {
        section.report(
            Diagnostic::error(value.span(), format!("'scale' is {}", type_of(value)))
                .help("write a table: scale = { min = 1, max = 4 }"),
        );
        return None;
    };
    let mut findings = Vec::new();
    let mut inner = Section::new("'scale'".to_owned(), value.span(), table, &mut findings);
    let min = inner.integer("min", 1..=MAX_WORKERS).map_or(1, |(min, _)| min as usize);
    let max = inner.integer("max", 1..=MAX_WORKERS);
    if max.is_none() && inner.value("max").is_none() {
        inner.missing("max", "write the most workers that there may be: scale = { max = 4 }");
    }
    let up = inner.share("up").map_or(UP, |(up, _)| up);
    let down = inner.share("down").map_or(DOWN, |(down, _)| down);
    let every = inner.duration("every");
    let span = value.span();
    if let Some((most, _)) = max
        && (most as usize) < min
    {
        inner.report(Diagnostic::error(span.clone(), format!("'max' is {most} and 'min' is {min}")));
    }
    if down >= up {
        inner.report(
            Diagnostic::error(span, format!("'down' is {down} and 'up' is {up}"))
                .help("let workers be far less busy when one is taken away than when one is added"),
        );
    }
    if let Some((every, span)) = &every
        && *every < SHORTEST
    {
        inner.report(Diagnostic::error(span.clone(), "'every' is too short").help("write 100ms or more"));
    }
    inner.finish();
    let good = findings.is_empty();
    findings.into_iter().for_each(|finding| section.report(finding));
    let (max, _) = max.filter(|_| good)?;
    if section.value("workers").is_none() && section.value("cores").is_none() {
        *cores = cores::choose(min, cores::allowed());
    }
    let workers = cores.len();
    if !(min..=max as usize).contains(&workers) {
        let message = format!("{} are not between 'min' and 'max'", counted(workers, "worker"));
        section.report(Diagnostic::error(value.span(), message));
    }
    Some(Scale { min, max: max as usize, up, down, every: every.map_or(EVERY, |(every, _)| every) })
}

impl Config {
    /// The same with another number of workers, which come and go at the end of the list; also in its text, unless they
    /// come and go by themselves: then the text says how many there are at the start.
    ///
    /// # Errors
    /// More than the cores that the configuration may take when it names them itself.
    pub fn with_workers(&self, workers: usize) -> Result<Config, String> {
        let mut config = self.clone();
        let settings = &mut config.engine;
        if settings.cores_named {
            let unnamed = |core: &&usize| !self.engine.cores.contains(core);
            settings.cores.extend(cores::allowed().iter().rev().filter(unnamed));
            if workers > settings.cores.len() {
                let most = settings.cores.len();
                return Err(format!(
                    "{workers} workers need as many cores, as 'cores' names them, and this process may run on {most}"
                ));
            }
            settings.cores.truncate(workers);
        } else {
            settings.cores = cores::choose(workers, cores::allowed());
        }
        if self.engine.scale.is_none() {
            config.shown = rewritten(&self.text, &config.engine.cores, self.engine.cores_named);
        }
        Ok(config)
    }
}

/// The text with another number of workers. `None`: it has no place for it, which a text that could be read does.
fn rewritten(text: &str, cores: &[usize], named: bool) -> Option<String> {
    let (key, value) =
        if named { ("cores", format!("{cores:?}")) } else { ("workers", cores.len().to_string()) };
    let root = DeTable::parse(text).ok()?;
    let engine = root.get_ref().get("engine");
    let table = engine.map(|engine| (engine.span(), engine.get_ref()));
    let (at, insert) = match table {
        None => (0..0, format!("[engine]\n{key} = {value}\n\n")),
        Some((span, DeValue::Table(table))) => match table.get(key) {
            Some(there) => (there.span(), value),
            // Behind the header, or the brace of a table in one line.
            None => match text.get(span.clone())?.as_bytes().first()? {
                b'{' if table.is_empty() => (span.start + 1..span.start + 1, format!(" {key} = {value} ")),
                b'{' => (span.start + 1..span.start + 1, format!(" {key} = {value},")),
                b'[' => {
                    let end = span.start + text.get(span.start..)?.find(']')? + 1;
                    (end..end, format!("\n{key} = {value}"))
                }
                // Keys like `engine.idle`, with nothing above them.
                _ => (0..0, format!("engine.{key} = {value}\n")),
            },
        },
        Some(_) => return None,
    };
    let text = [text.get(..at.start)?, &insert, text.get(at.end..)?].concat();
    // What it says is what runs, or it is not said.
    let root = DeTable::parse(&text).ok()?;
    root.get_ref().get("engine")?.get_ref().as_table()?.get(key)?;
    drop(root);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gets_another_number_of_workers_wherever_it_says_it() {
        let rows = [
            (
                "[engine]\nworkers = 1 # one\nidle = \"spin\"\n",
                "[engine]\nworkers = 3 # one\nidle = \"spin\"\n",
            ),
            ("# hm\n[engine]\nidle = \"spin\"\n", "# hm\n[engine]\nworkers = 3\nidle = \"spin\"\n"),
            ("[ports.a]\ndevice = \"x\"\n", "[engine]\nworkers = 3\n\n[ports.a]\ndevice = \"x\"\n"),
            ("engine = { idle = \"spin\" }\n", "engine = { workers = 3, idle = \"spin\" }\n"),
            ("engine = {}\n", "engine = { workers = 3 }\n"),
            ("engine.workers = 7\n", "engine.workers = 3\n"),
        ];
        for (before, after) in rows {
            assert_eq!(rewritten(before, &[9, 8, 7], false).as_deref(), Some(after));
        }
        let named = rewritten("[engine]\ncores = [4, 5] # two\n", &[4], true);
        assert_eq!(named.as_deref(), Some("[engine]\ncores = [4] # two\n"));
        assert_eq!(rewritten("no TOML", &[1], false), None);
    }
}
