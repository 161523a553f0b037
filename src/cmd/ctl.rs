//! `braid ctl [METHOD [JSON]]`

use super::{Failure, Outcome, print};
use comfy_table::{ContentArrangement, Table, presets};
use control::Config;
use control::client::{Client, ClientError};
use control::config::SocketChoice;
use control::socket;
use engine::Registry;
use serde_json::{Map, Value};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `braid ctl`.
#[derive(clap::Args)]
pub struct Args {
    /// The method; none: list them. `scale N` is short for `engine.scale '{"workers": N}'`
    method: Option<String>,
    /// Its parameters: JSON objects, put together; `@FILE`: from a file; `-`: from stdin. A file that is no JSON
    /// is a configuration: `config.apply @next.toml '{"dry_run": true}'`
    #[arg(value_name = "JSON")]
    params: Vec<String>,
    /// The engine's control socket [default: as in --config, else /run/braid.sock as root, else
    /// $XDG_RUNTIME_DIR/braid.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Take the socket's path from this configuration
    #[arg(long, value_name = "FILE.toml", conflicts_with = "socket")]
    config: Option<PathBuf>,
}

/// Calls a method and prints its result; `events.subscribe` prints events until the engine goes.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let Some(method) = args.method.as_deref() else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        for method in socket::METHODS {
            table.add_row([method.name, method.summary]);
        }
        print(&table.trim_fmt())?;
        return Ok(ExitCode::SUCCESS);
    };
    let (method, params) = match (method, args.params.as_slice()) {
        ("scale", [workers]) if workers.parse::<u64>().is_ok() => {
            ("engine.scale", object("the parameters", &format!("{{\"workers\": {workers}}}"))?)
        }
        (method, params) => (method, read_params(method, params)?),
    };
    let params = Value::Object(params);
    let mut client = Client::connect(&path(args, registry)?)?;
    let result = client.call(method, &params)?;
    print(&format!("{result:#}"))?;
    if method == "events.subscribe" {
        loop {
            match client.notification() {
                Ok(event) => print(&event["params"].to_string())?,
                Err(ClientError::Closed) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All parameters together. What is given twice is an error, as nobody knows which was meant.
fn read_params(method: &str, given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    for given in given {
        let read = match given.strip_prefix('@') {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::message(format!("cannot read {file}: {error}")))?;
                object_or_configuration(method, file, text)?
            }
            None if given == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                object_or_configuration(method, "stdin", text)?
            }
            None => object("the parameters", given)?,
        };
        for (key, value) in read {
            if all.insert(key.clone(), value).is_some() {
                return Err(Failure::message(format!("the parameter '{key}' is given twice")));
            }
        }
    }
    Ok(all)
}

/// A JSON object begins with a brace, which TOML cannot.
fn object_or_configuration(method: &str, name: &str, text: String) -> Result<Map<String, Value>, Failure> {
    if method == "config.apply" && !text.trim_start().starts_with('{') {
        return Ok(Map::from_iter([("config".to_owned(), Value::String(text))]));
    }
    object(&format!("the parameters in {name}"), &text)
}

fn object(what: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(Failure::message(format!("{what} are no JSON object, like '{{\"nf\": \"edge\"}}'"))),
        Err(error) => Err(Failure::message(format!(
            "{what} are not JSON: {error}; write an object like '{{\"nf\": \"edge\"}}', or @FILE"
        ))),
    }
}

fn path(args: &Args, registry: &Registry) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.socket {
        return Ok(path.clone());
    }
    let Some(file) = &args.config else { return Ok(socket::default_path()) };
    match Config::read(file, registry).map_err(Failure::config)?.engine.socket {
        SocketChoice::Path(path) => Ok(path),
        SocketChoice::Default => Ok(socket::default_path()),
        SocketChoice::Off => {
            Err(Failure::message(format!("{} has no control socket: socket = \"off\"", file.display())))
        }
    }
}
