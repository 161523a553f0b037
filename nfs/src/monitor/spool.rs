//! Flows that ended before the run does: they wait in a file beside the report.

use super::record::{self, Ended};
use crate::outlet::{Sink, Writer};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ended flows that can wait per worker: more in one poll of the writer are lost, and counted.
const RING: usize = 1 << 16;
/// Numbers the spools of a process, so that no two share a file.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A file of ended flows. It is made when the first flow ends, and removed with the spool.
pub(super) struct Spool {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Spool {
    /// For the report `report`: nothing is made yet.
    pub(super) fn beside(report: &Path) -> Arc<Writer<Spool>> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let mut path = report.as_os_str().to_owned();
        path.push(format!(".ended-{}-{serial}", std::process::id()));
        Writer::new("ended-flows", RING, Spool { path: path.into(), file: None })
    }

    /// All ended flows.
    pub(super) fn collect(&mut self) -> io::Result<Vec<Ended>> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        file.flush()?;
        let mut file = BufReader::new(File::open(&self.path)?);
        let mut all = Vec::new();
        let mut bytes = [0; record::BYTES];
        loop {
            match file.read_exact(&mut bytes) {
                Ok(()) => all.push(record::decode(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Sink for Spool {
    type Record = Ended;

    fn take(&mut self, ended: Ended) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::options().create(true).append(true).open(&self.path)?)),
        };
        file.write_all(&record::encode(&ended))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
