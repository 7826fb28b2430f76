//! A passphrase from the terminal, without showing it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::secret::MAX_TEXT;

/// Asks on the terminal of this process, whatever its standard streams are. An error means that there is none.
pub fn ask(question: &str) -> io::Result<Vec<u8>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    // Ctrl-C comes as a byte, so that the terminal is itself again before the signal ends the process.
    silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let typed = terminal.write_all(question.as_bytes()).and_then(|()| line(&mut terminal, &before));
    let _ = restore(&mut terminal, &before);
    typed
}

fn restore(terminal: &mut File, before: &Termios) -> io::Result<()> {
    tcsetattr(&*terminal, OptionalActions::Drain, before)?;
    terminal.write_all(b"\n")
}

fn line(terminal: &mut File, before: &Termios) -> io::Result<Vec<u8>> {
    let mut typed: Vec<u8> = Vec::new();
    let mut byte = [0];
    while terminal.read(&mut byte)? == 1 {
        match byte[0] {
            3 => {
                let _ = restore(terminal, before);
                let _ = kill_process(getpid(), Signal::INT);
            }
            4 | b'\n' | b'\r' => break,
            // The last character: the bytes that continue it, and the one that leads.
            8 | 127 => while typed.pop().is_some_and(|b| b & 0xc0 == 0x80) {},
            _ if typed.len() as u64 == MAX_TEXT => break,
            other => typed.push(other),
        }
    }
    Ok(typed)
}
