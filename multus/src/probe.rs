//! `multus-daemon probe`: asks the daemon at the socket how it is, for containers without a shell or an HTTP client.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use multus_plugin::wire::SOCKET_NAME;
use proto::http::{Address, client};

/// What to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// Whether the daemon lives.
    Live,
    /// Whether it does its job.
    Ready,
}

/// Why a probe fails.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("ask {socket}", socket = socket.display())]
    NoAnswer {
        /// Where.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It answers that it is not well.
    #[error("the daemon at {socket} says: {said}", socket = socket.display())]
    NotWell {
        /// Where.
        socket: PathBuf,
        /// Its words.
        said: String,
    },
}

/// Asks the daemon whose socket is in `dir`.
///
/// # Errors
/// When it does not answer, or answers anything but 200.
pub fn ask(dir: &Path, question: Question) -> Result<(), ProbeError> {
    let socket = dir.join(SOCKET_NAME);
    let path = match question {
        Question::Live => "/healthz",
        Question::Ready => "/readyz",
    };
    let asked = client::get(&Address::Unix(socket.clone()), path);
    let (status, body) = asked.map_err(|source| ProbeError::NoAnswer {
        socket: socket.clone(),
        source,
    })?;
    if status == 200 {
        return Ok(());
    }
    Err(ProbeError::NotWell {
        socket,
        said: body.replace('\n', "; "),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A daemon that gives one answer.
    fn answered(answer: &'static str, question: Question) -> (Result<(), ProbeError>, String) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            let mut chunk = [0; 256];
            // All of it: closing before that would break the pipe of who asks.
            while !asked.ends_with("\r\n\r\n") {
                let length = stream.read(&mut chunk).unwrap();
                assert_ne!(length, 0, "the question ends early");
                asked += &String::from_utf8_lossy(&chunk[..length]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        let told = ask(dir.path(), question);
        (told, daemon.join().unwrap())
    }

    #[test]
    fn each_question_has_its_path_and_200_is_well() {
        for (question, path) in [(Question::Live, "/healthz"), (Question::Ready, "/readyz")] {
            let (told, asked) = answered("HTTP/1.1 200 OK\r\n\r\nok", question);
            told.unwrap();
            assert!(asked.starts_with(&format!("GET {path} ")), "{asked}");
        }
    }

    #[test]
    fn another_answer_or_none_fails_with_the_daemons_words() {
        let (told, _) = answered(
            "HTTP/1.1 500 Internal Server Error\r\n\r\nnot ready",
            Question::Ready,
        );
        assert!(told.unwrap_err().to_string().ends_with("says: not ready"));
        let nobody = tempfile::tempdir().unwrap();
        let error = ask(nobody.path(), Question::Live).unwrap_err();
        assert!(error.to_string().starts_with("ask /"), "{error}");
    }
}
