//! The body of a watch: one JSON document per line for as long as the client listens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use futures::Stream;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::route::Query;
use super::selector::Selection;
use super::store::Store;
use super::subscription::{Start, Subscription};
use super::view::View;

/// How often a client that wants bookmarks gets one while nothing happens.
const BOOKMARK: Duration = Duration::from_secs(30);

/// The longest a watch without `timeoutSeconds` lives.
const LONGEST: Duration = Duration::from_mins(30);

struct Watch {
    subscription: Subscription,
    view: View,
    bookmarks: bool,
    /// The client waits to be told where what exists ends.
    announce_initial_end: bool,
    lines: VecDeque<Bytes>,
    ends: Instant,
    over: bool,
}

/// Opens a watch as the query asks.
pub(crate) fn open(
    store: &Store,
    selection: Selection,
    view: View,
    query: &Query,
) -> Result<impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + use<>, ApiError> {
    let initial = query.flag("sendInitialEvents");
    if initial && query.text("resourceVersionMatch") != "NotOlderThan" {
        return Err(ApiError::bad_request(
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    let start = match query.text("resourceVersion") {
        _ if initial => Start::Existing,
        "" | "0" => Start::Existing,
        given => Start::After(
            given
                .parse()
                .map_err(|_| ApiError::bad_request(format!("invalid resourceVersion: {given}")))?,
        ),
    };
    let duration = query
        .number("timeoutSeconds")
        .filter(|seconds| *seconds > 0)
        .map_or(LONGEST, Duration::from_secs);
    let watch = Watch {
        subscription: store.subscribe(view.resource, selection, start)?,
        view,
        bookmarks: query.flag("allowWatchBookmarks"),
        announce_initial_end: initial,
        lines: VecDeque::new(),
        ends: Instant::now() + duration,
        over: false,
    };
    Ok(futures::stream::unfold(watch, |mut watch| async move {
        let line = watch.line().await?;
        Some((Ok(Frame::data(line)), watch))
    }))
}

impl Watch {
    async fn line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            self.gather().await;
        }
    }

    /// Waits until there is something to say or the watch is over.
    async fn gather(&mut self) {
        match self.subscription.take() {
            Ok(Some(event)) => return self.say(event.word(), &self.view.show(event.object())),
            Ok(None) if self.announce_initial_end => {
                self.announce_initial_end = false;
                return self.bookmark(true);
            }
            Ok(None) => {}
            Err(gone) => return self.fail(&gone),
        }
        let pause = self.ends.min(Instant::now() + BOOKMARK);
        match timeout_at(pause, self.subscription.next()).await {
            Ok(Ok(event)) => self.say(event.word(), &self.view.show(event.object())),
            Ok(Err(gone)) => self.fail(&gone),
            Err(_) => {
                if self.bookmarks {
                    self.bookmark(false);
                }
                self.over = Instant::now() >= self.ends;
            }
        }
    }

    fn bookmark(&mut self, initial_end: bool) {
        let object = self.view.bookmark(self.subscription.reached(), initial_end);
        self.say("BOOKMARK", &object);
    }

    fn fail(&mut self, gone: &ApiError) {
        self.say("ERROR", &gone.status());
        self.over = true;
    }

    fn say(&mut self, word: &str, object: &Value) {
        self.lines.push_back(Bytes::from(format!(
            "{}\n",
            json!({"type": word, "object": object})
        )));
    }
}
