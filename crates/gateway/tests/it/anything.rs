//! Anything that is HTTP passes unchanged: random exchanges, in random pieces.
//! `SEED=17` replays one.

use crate::support::{Peer, Setup, Upstream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trailbox_clock::{Random as _, SeededRandom};

/// Draws from one seed.
struct Dice(SeededRandom);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).unwrap()
    }

    fn bytes(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.below(most + 1)];
        self.0.fill(&mut bytes);
        bytes
    }

    fn pick<'a>(&self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A body with the field that frames it.
    fn framed(&self, most: usize) -> (String, Vec<u8>) {
        let body = self.bytes(most);
        if self.below(2) == 0 {
            let name = self.pick(&["Content-Length", "content-length", "CONTENT-LENGTH"]);
            return (format!("{name}: {}\r\n", body.len()), body);
        }
        let mut wire = Vec::new();
        let mut rest = &body[..];
        while !rest.is_empty() {
            let (chunk, left) = rest.split_at(1 + self.below(rest.len()));
            let extension = self.pick(&["", ";x", ";name=\"a b\"", " ;q", ";chunk-signature=00"]);
            wire.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
            rest = left;
        }
        let trailer = self.pick(&["", "X-T: 1\r\n", "a:\r\nb: c  \r\n"]);
        wire.extend_from_slice(
            format!("{}\r\n{trailer}\r\n", self.pick(&["0", "000", "0;e"])).as_bytes(),
        );
        ("Transfer-Encoding: chunked\r\n".to_owned(), wire)
    }

    fn fields(&self) -> String {
        (0..self.below(5))
            .flat_map(|_| {
                let name = self.pick(&["X-a", "x-A", "X-Amz-Meta-b", "User-Agent", "cookie"]);
                let value = self.pick(&["", "1", "  two ", "a, b", "\u{e9}", "\"q\""]);
                [name, ":", value, "\r\n"]
            })
            .collect()
    }

    fn request(&self) -> Vec<u8> {
        let method = self.pick(&["GET", "PUT", "POST", "DELETE", "PATCH", "BREW"]);
        let path = self.pick(&["/", "/b/k", "//b//k%2F+", "/b?x=%20&x", "/a%20b/c?list-type=2"]);
        let fields = self.fields();
        let (framing, body) =
            if self.below(3) == 0 { (String::new(), Vec::new()) } else { self.framed(150_000) };
        let head = format!("{method} {path} HTTP/1.1\r\n{fields}Host: h\r\n{framing}\r\n");
        [head.as_bytes(), &body].concat()
    }

    fn response(&self) -> Vec<u8> {
        let interim = self.pick(&["", "", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"]);
        let status = self.pick(&["200 OK", "201 ", "404 Not Found", "500 Oh", "400"]);
        let fields = self.fields();
        let (framing, body) = self.framed(150_000);
        let head = format!("{interim}HTTP/1.1 {status}\r\n{fields}{framing}\r\n");
        [head.as_bytes(), &body].concat()
    }
}

async fn write_in_pieces(peer: &mut Peer, dice: &Dice, mut wire: &[u8]) {
    while !wire.is_empty() {
        let most = if dice.below(4) == 0 { 10 } else { 100_000 };
        let (piece, rest) = wire.split_at(wire.len().min(1 + dice.below(most)));
        peer.write(piece).await;
        if dice.below(8) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        wire = rest;
    }
}

async fn play(seed: u64) {
    let dice = Dice(SeededRandom::new(seed));
    let exchanges: Vec<_> =
        (0..=dice.below(6)).map(|_| (dice.request(), dice.response())).collect();
    let answers: Arc<Mutex<Vec<Vec<u8>>>> =
        Arc::new(Mutex::new(exchanges.iter().rev().map(|(_, answer)| answer.clone()).collect()));
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let upstream = Upstream::scripted({
        let seen = Arc::clone(&seen);
        move |number, mut peer| {
            let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
            let dice = Dice(SeededRandom::new(seed + 1000 + number as u64));
            async move {
                while let Some(request) = peer.request().await {
                    seen.lock().unwrap().extend_from_slice(&request.raw);
                    let answer = answers.lock().unwrap().pop().unwrap();
                    write_in_pieces(&mut peer, &dice, &answer).await;
                }
            }
        }
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    let mut got = Vec::new();
    for (request, _) in &exchanges {
        write_in_pieces(&mut peer, &dice, request).await;
        loop {
            let message = peer.any_answer(false).await;
            got.extend_from_slice(&message.raw);
            if message.status != 103 {
                break;
            }
        }
    }
    let sent: Vec<u8> = exchanges.iter().flat_map(|(request, _)| request.clone()).collect();
    let said: Vec<u8> = exchanges.iter().flat_map(|(_, answer)| answer.clone()).collect();
    assert!(*seen.lock().unwrap() == sent, "seed {seed}: requests were changed");
    assert!(got == said, "seed {seed}: answers were changed");
    bed.wait_for_records(exchanges.len()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_exchange_passes_unchanged_and_leaves_a_record() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..40).collect(),
    };
    for seed in seeds {
        play(seed).await;
    }
}

/// Peers that leave whenever they like.
async fn play_faults(seed: u64) {
    const CALLS: usize = 40;
    let whole: Arc<Mutex<Vec<String>>> = Arc::default();
    let upstream = Upstream::scripted({
        let whole = Arc::clone(&whole);
        move |number, mut peer| {
            let whole = Arc::clone(&whole);
            let dice = Dice(SeededRandom::new(seed * 7919 + number as u64));
            async move {
                while let Some(request) = peer.request().await {
                    if !request.whole {
                        return;
                    }
                    let target = request.head.split(' ').nth(1).unwrap().to_owned();
                    whole.lock().unwrap().push(target);
                    let answer = dice.response();
                    match dice.below(6) {
                        0 => return,
                        1 => {
                            let cut = dice.below(answer.len());
                            peer.write(&answer[..cut]).await;
                            return;
                        }
                        2 => {
                            peer.stream.set_zero_linger().unwrap();
                            return;
                        }
                        _ => write_in_pieces(&mut peer, &dice, &answer).await,
                    }
                }
            }
        }
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..CALLS {
        let dice = Dice(SeededRandom::new(seed * 104_729 + n as u64));
        let mut peer = bed.connect().await;
        calls.spawn(async move {
            let (framing, body) = dice.framed(200_000);
            let head = format!("PUT /b/k-{n} HTTP/1.1\r\nHost: h\r\n{framing}\r\n");
            let request = [head.as_bytes(), &body].concat();
            let sent = match dice.below(4) {
                0 => head.len() + dice.below(request.len() - head.len() + 1),
                _ => request.len(),
            };
            write_in_pieces(&mut peer, &dice, &request[..sent]).await;
            if dice.below(3) != 0 {
                let _ = tokio::time::timeout(Duration::from_millis(200), peer.fill()).await;
            }
            if dice.below(2) == 0 {
                peer.stream.set_zero_linger().unwrap();
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    // A client that was reset within its head made no call.
    let mut records = bed.wait_for_records(CALLS * 3 / 4).await;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        records = bed.records();
        if records.len() == CALLS {
            break;
        }
    }
    let mut keys: Vec<_> = records
        .iter()
        .map(|record| format!("/b/{}", record["requestParameters"]["key"].as_str().unwrap()))
        .collect();
    keys.sort();
    let before = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), before, "seed {seed}: a call is recorded twice");
    for target in whole.lock().unwrap().iter() {
        assert!(keys.contains(target), "seed {seed}: {target} was forwarded and is not recorded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_every_call_the_upstream_saw_is_recorded_once() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..8).collect(),
    };
    for seed in seeds {
        play_faults(seed).await;
    }
}
