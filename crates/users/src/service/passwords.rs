//! Password hashing on threads of its own: it may keep its cores busy, it may not keep the shop waiting.
use crate::domain::account::Password;
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use crossbeam_channel::{Sender, bounded};
use tokio::sync::oneshot;

use super::Error;

/// argon2id with OWASP's parameters: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("OWASP's parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

type Job = Box<dyn FnOnce(&Argon2<'static>) + Send>;

pub(crate) struct Hasher {
    jobs: Sender<Job>,
    /// The hash of nobody's password: comparing with it takes as long as with a real one.
    nobody: String,
}

impl Hasher {
    pub(crate) fn new(threads: usize, queue: usize) -> Self {
        let (jobs, waiting) = bounded::<Job>(queue);
        for n in 0..threads.max(1) {
            let waiting = waiting.clone();
            let work = move || {
                let argon2 = argon2();
                waiting.iter().for_each(|job| job(&argon2));
            };
            std::thread::Builder::new().name(format!("passwords-{n}")).spawn(work).expect("a thread can be started");
        }
        let nobody = argon2().hash_password(b"nobody's").expect("a password can be hashed").to_string();
        Self { jobs, nobody }
    }

    /// The PHC string that is kept.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        self.run(move |argon2| {
            argon2.hash_password(password.bytes()).expect("a bounded password can be hashed").to_string()
        })
        .await
    }

    /// Takes the same time whether or not there is an account.
    pub(crate) async fn verify(&self, password: Password, kept: Option<String>) -> Result<bool, Error> {
        let known = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.nobody.clone());
        let same = self.run(move |argon2| {
            PasswordHash::new(&kept).is_ok_and(|kept| argon2.verify_password(password.bytes(), &kept).is_ok())
        });
        Ok(same.await? && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |argon2| {
            if !reply.is_closed() {
                let _ = reply.send(work(argon2)); // whoever asked may leave meanwhile
            }
        });
        self.jobs.try_send(job).map_err(|_| Error::Crowded)?;
        answer.await.map_err(|_| Error::Crowded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_itself_only() {
        let hasher = Hasher::new(1, 8);
        let kept = hasher.hash(Password::typed("correct horse")).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(hasher.verify(Password::typed("correct horse"), Some(kept.clone())).await.unwrap());
        assert!(!hasher.verify(Password::typed("correct house"), Some(kept)).await.unwrap());
        assert!(!hasher.verify(Password::typed("nobody's"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_is_refused() {
        let hasher = Hasher::new(1, 1);
        let (begun, wait) = std::sync::mpsc::channel::<()>();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let busy = hasher.run(move |_| {
            begun.send(()).unwrap();
            gate.recv().unwrap();
        });
        let queued = hasher.verify(Password::typed("x"), None);
        let (refused, ..) = tokio::join!(
            async {
                // the first job runs, the second waits: there is no place for a third
                tokio::task::spawn_blocking(move || wait.recv().unwrap()).await.unwrap();
                while hasher.jobs.is_empty() {
                    tokio::task::yield_now().await;
                }
                let refused = hasher.verify(Password::typed("y"), None).await;
                go.send(()).unwrap();
                refused
            },
            busy,
            async {
                while !hasher.jobs.is_empty() {
                    tokio::task::yield_now().await;
                }
                queued.await
            }
        );
        assert!(matches!(refused, Err(Error::Crowded)), "{refused:?}");
    }
}
