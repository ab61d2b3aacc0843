//! What `cargo xtask bench speed` measures the shop beside: how fast the same libraries are without a shop.
//!
//! `limits serve FILE WORKERS` answers every request with the file's bytes, or that they are known, over the actix-web
//! that the shop is made of.
//! `limits hash SECONDS THREADS` hashes passwords with the shop's parameters, `limits sync SECONDS FILE` writes pages that
//! are on the disk before the next; both say how many. A package of its own: an example of the product would be built
//! with what only its tests turn on.
use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH},
    web::{self, Bytes},
};
use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
use std::{
    env, fs,
    io::{Seek, SeekFrom, Write},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[actix_web::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", file, workers] => serve(file, workers).await,
        ["hash", seconds, threads] => hash(seconds, threads),
        ["sync", seconds, file] => sync(seconds, file),
        _ => Err("limits serve FILE WORKERS, limits hash SECONDS THREADS, or limits sync SECONDS FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(file: &str, workers: &str) -> Result<()> {
    let bytes = Bytes::from(fs::read(file)?);
    let app = move || {
        let bytes = bytes.clone();
        // As the shop's answers say it; the file does not change.
        let answer = move |request: HttpRequest| {
            let bytes = bytes.clone();
            async move {
                // Only whoever had it from here has a tag.
                let is_known = request.headers().contains_key(IF_NONE_MATCH);
                let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
                answer.insert_header((ETAG, "\"0123456789abcdef\"")).insert_header((CACHE_CONTROL, "no-cache"));
                if is_known { answer.finish() } else { answer.content_type("application/json").body(bytes) }
            }
        };
        App::new().default_service(web::to(answer))
    };
    let server = HttpServer::new(app).workers(workers.parse()?).bind("127.0.0.1:0")?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    Ok(server.run().await?)
}

/// Prints how many were hashed and how many seconds that took.
fn hash(seconds: &str, threads: &str) -> Result<()> {
    let (length, threads): (f64, usize) = (seconds.parse()?, threads.parse()?);
    let started = Instant::now();
    let end = started + Duration::try_from_secs_f64(length)?;
    // users' own: crates/users/src/service/passwords.rs
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None)?);
    let one = || {
        let mut count = 0_u64;
        while Instant::now() < end {
            argon2.hash_password(b"a password of some length").expect("a short password can be hashed");
            count += 1;
        }
        count
    };
    let count: u64 = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|thread| thread.join().expect("nothing in it panics")).sum()
    });
    println!("done {count} in {}", started.elapsed().as_secs_f64());
    Ok(())
}

/// What SQLite cannot do without for a commit: a page and its frame's header in the log, synced.
fn sync(seconds: &str, file: &str) -> Result<()> {
    const FRAME: [u8; 4096 + 24] = [7; 4096 + 24];
    // As long as SQLite lets its log become before it begins again.
    const FRAMES: u64 = 1000;
    let mut file = fs::File::create(file)?;
    let started = Instant::now();
    let end = started + Duration::try_from_secs_f64(seconds.parse()?)?;
    let mut count = 0_u64;
    while Instant::now() < end {
        if count.is_multiple_of(FRAMES) {
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&FRAME)?;
        file.sync_data()?;
        count += 1;
    }
    println!("done {count} in {}", started.elapsed().as_secs_f64());
    Ok(())
}
