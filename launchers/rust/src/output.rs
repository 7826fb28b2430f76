//! The log of a service in the background: what its programs and its supervisor say, with a bound.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use crate::failure::{Failure, Result};
use crate::standing::Folder;

/// A log of this size becomes `log.1`, in place of an earlier one.
const FULL: u64 = 10 << 20;

/// The programs write into a pipe, so that the log can be changed under them; the supervisor's own messages go to the log.
pub struct Output {
    reader: PipeReader,
    writer: PipeWriter,
    size: u64,
}

impl Output {
    /// From here on this process has no input, and its output goes to the log.
    pub fn open(folder: &Folder) -> Result<Output> {
        let null = fs::File::open("/dev/null").map_err(|e| Failure::io("/dev/null".as_ref(), e))?;
        let failed = |e: io::Error| Failure::io(&folder.path("log"), e);
        rustix::stdio::dup2_stdin(&null).map_err(|e| failed(e.into()))?;
        let (reader, writer) = io::pipe().map_err(failed)?;
        let mut output = Output { reader, writer, size: 0 };
        output.use_file(folder)?;
        Ok(output)
    }

    fn use_file(&mut self, folder: &Folder) -> Result<()> {
        let failed = |e: io::Error| Failure::io(&folder.path("log"), e);
        let file = folder.open("log")?;
        self.size = file.metadata().map_err(failed)?.len();
        rustix::stdio::dup2_stdout(&file).and_then(|()| rustix::stdio::dup2_stderr(&file)).map_err(|e| failed(e.into()))
    }

    pub fn reader(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// For a program, before it starts: its output goes to the pipe.
    pub fn connect(&self) -> io::Result<()> {
        rustix::stdio::dup2_stdout(&self.writer)?;
        Ok(rustix::stdio::dup2_stderr(&self.writer)?)
    }

    /// Moves what is there to the log. A full disk loses output, and never stops the program.
    pub fn copy(&mut self, folder: &Folder) {
        let mut bytes = [0; 16 << 10];
        let count = self.reader.read(&mut bytes).unwrap_or(0);
        self.size += count as u64;
        if self.size > FULL {
            let _ = fs::rename(folder.path("log"), folder.path("log.1"));
            let _ = self.use_file(folder);
            self.size = count as u64;
        }
        let _ = io::stderr().write_all(&bytes[..count]);
    }
}
