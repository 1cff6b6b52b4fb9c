//! The wire between one client and the API server, which can be cut while everybody else goes on.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Passes connections on until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on a free port of the loopback and passes on to `to`, an address as `host:port`.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(to: &str) -> Result<Self> {
        Self::at(([127, 0, 0, 1], 0).into(), to).await
    }

    /// The same on an address of this machine.
    ///
    /// # Errors
    /// When it is in use or not this machine's.
    pub async fn at(listen: SocketAddr, to: &str) -> Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("listen on {listen} for the relay"))?;
        let address = listener.local_addr().context("the relay's address")?;
        let whole = watch::Sender::new(true);
        let task = tokio::spawn(accept(listener, to.to_owned(), whole.subscribe()));
        Ok(Self {
            address,
            whole,
            task,
        })
    }

    /// A relay for the only cluster of a kubeconfig (JSON), and the kubeconfig that leads through it.
    ///
    /// # Errors
    /// When the kubeconfig names no server.
    pub async fn of_kubeconfig(kubeconfig: &str) -> Result<(Self, String)> {
        let mut config: Value = serde_json::from_str(kubeconfig).context("read a kubeconfig")?;
        let server = &mut config["clusters"][0]["cluster"]["server"];
        let (scheme, to) = server
            .as_str()
            .and_then(|url| url.split_once("://"))
            .context("a kubeconfig without a server")?;
        let relay = Self::start(to).await?;
        *server = Value::from(format!("{scheme}://{}", relay.address));
        Ok((relay, config.to_string()))
    }

    /// Closes every connection, and every further one at once.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Passes on again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, to: String, whole: watch::Receiver<bool>) {
    // Owned by this task, so that its end closes them.
    let mut open = JoinSet::new();
    loop {
        let client = tokio::select! {
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((client, _)) = client else {
            continue;
        };
        if *whole.borrow() {
            open.spawn(pass(client, to.clone(), whole.clone()));
        }
    }
}

async fn pass(mut client: TcpStream, to: String, mut whole: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(&to).await else {
        return;
    };
    tokio::select! {
        // What the ends have to say about it, they say themselves.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = whole.wait_for(|whole| !whole) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_connections_and_a_mended_wire_takes_new_ones() {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let to = server.local_addr().unwrap();
        let kubeconfig =
            format!(r#"{{"clusters":[{{"cluster":{{"server":"http://{to}"}}}}],"users":[]}}"#);
        let (relay, through) = Relay::of_kubeconfig(&kubeconfig).await.unwrap();
        assert!(through.contains(&format!("http://{}", relay.address)));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move { stream.write_all(b"hello").await });
            }
        });
        let answer = async || {
            let mut stream = TcpStream::connect(relay.address).await.unwrap();
            let mut text = String::new();
            let _cut = stream.read_to_string(&mut text).await;
            text
        };
        assert_eq!(answer().await, "hello");
        relay.cut();
        assert_eq!(answer().await, "");
        relay.mend();
        assert_eq!(answer().await, "hello");
    }
}
