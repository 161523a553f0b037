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
    /// The method; none: list them
    method: Option<String>,
    /// Its parameters, a JSON object; `-`: from stdin
    params: Option<String>,
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
    let Some(method) = &args.method else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        for method in socket::METHODS {
            table.add_row([method.name, method.summary]);
        }
        print(&table.trim_fmt())?;
        return Ok(ExitCode::SUCCESS);
    };
    let params = match args.params.as_deref() {
        None => Value::Object(Map::new()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            read_params(&text)?
        }
        Some(text) => read_params(text)?,
    };
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

fn read_params(text: &str) -> Result<Value, Failure> {
    match serde_json::from_str(text) {
        Ok(params @ Value::Object(_)) => Ok(params),
        Ok(_) => Err(Failure::message("the parameters are a JSON object: '{\"nf\": \"edge\"}'")),
        Err(error) => Err(Failure::message(format!("the parameters are not JSON: {error}"))),
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
