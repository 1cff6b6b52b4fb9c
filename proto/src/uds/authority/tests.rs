use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn read_through(sent: &[u8], buffer: usize) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(64);
    let sent = sent.to_vec();
    let sending = tokio::spawn(async move { client.write_all(&sent).await });
    let mut server = LocalAuthority::new(server);
    let mut got = Vec::new();
    let mut buffer = vec![0; buffer];
    loop {
        let count = server.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        got.extend(&buffer[..count]);
    }
    sending.await.unwrap().unwrap();
    got
}

#[tokio::test]
async fn any_size_of_the_readers_buffer_reads_the_same() {
    let (sent, expected) = frames::tests::one_request();
    for buffer in [1, 2, 7, 9, 24, 4096] {
        assert_eq!(read_through(&sent, buffer).await, expected, "{buffer}");
    }
}

#[tokio::test]
async fn a_connection_cut_inside_a_frame_reads_up_to_the_cut() {
    let (sent, _) = frames::tests::one_request();
    let data = 9 + 5;
    let cut = &sent[..sent.len() - data - 1];
    assert_eq!(read_through(cut, 4096).await, cut);
}

#[tokio::test]
async fn what_the_server_writes_is_not_touched() {
    let (mut client, server) = tokio::io::duplex(64);
    let (sent, _) = frames::tests::one_request();
    let mut server = LocalAuthority::new(server);
    let writing = async {
        server.write_all(&sent).await.unwrap();
        server.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let ((), read) = tokio::join!(writing, client.read_to_end(&mut got));
    read.unwrap();
    assert_eq!(got, sent);
}
