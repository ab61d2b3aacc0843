//! Password hashing on threads of its own: it may keep its cores busy, it may not keep the shop waiting.
use crate::domain::account::Password;
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self, CustomizedPasswordHasher, PasswordHasher, PasswordVerifier,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use crossbeam_channel::{Sender, bounded};
use std::{cell::RefCell, time::Duration};
use tokio::sync::oneshot;

use super::Error;

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
fn params() -> Params {
    Params::new(19 * 1024, 2, 1, None).expect("OWASP's parameters are valid")
}

/// The hash of no password: comparing with it takes as long as with a real one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// After as long without a password, the memory of the last one is wiped. Not after each: that is a tenth of its time.
const REST: Duration = Duration::from_secs(1);

/// Argon2 in memory that stays: taken anew for each password, a fifth of the time went into its pages, and what was given
/// back did not reach the system.
#[derive(Default)]
struct Workshop(RefCell<Vec<Block>>);

impl CustomizedPasswordHasher<PasswordHash> for Workshop {
    type Params = Params;
    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let (salt, mut output) = (Salt::new(salt)?, [0; Output::MAX_LENGTH]);
        let output = &mut output[..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
        let mut memory = self.0.borrow_mut();
        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::new());
        }
        let memory = &mut memory[..params.block_count()];
        Argon2::new(algorithm, version, params.clone())
            .hash_password_into_with_memory(password, &salt, output, memory)?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(salt),
            hash: Some(Output::new(output)?),
        })
    }
}

impl Workshop {
    /// What is left of the last password would tell more of it than its hash does.
    fn wipe(&self) {
        self.0.borrow_mut().fill(Block::new());
    }
}

impl PasswordHasher<PasswordHash> for Workshop {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> password_hash::Result<PasswordHash> {
        self.hash_password_customized(password, salt, None, None, params())
    }
}

type Job = Box<dyn FnOnce(&Workshop) + Send>;

pub(crate) struct Hasher {
    jobs: Sender<Job>,
}

impl Hasher {
    pub(crate) fn new(threads: usize, queue: usize) -> Self {
        let (jobs, waiting) = bounded::<Job>(queue);
        for n in 0..threads.max(1) {
            let waiting = waiting.clone();
            let work = move || {
                let workshop = Workshop::default();
                loop {
                    let job = waiting.recv_timeout(REST).or_else(|_| {
                        workshop.wipe();
                        waiting.recv()
                    });
                    let Ok(job) = job else { return };
                    job(&workshop);
                }
            };
            std::thread::Builder::new().name(format!("passwords-{n}")).spawn(work).expect("a thread can be started");
        }
        Self { jobs }
    }

    /// The PHC string that is kept.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        self.run(move |workshop| {
            workshop.hash_password(password.bytes()).expect("a bounded password can be hashed").to_string()
        })
        .await
    }

    /// Takes the same time whether or not there is an account.
    pub(crate) async fn verify(&self, password: Password, kept: Option<String>) -> Result<bool, Error> {
        let known = kept.is_some();
        let kept = kept.unwrap_or_else(|| NOBODY.to_owned());
        let same = self.run(move |workshop| {
            PasswordHash::new(&kept).is_ok_and(|kept| workshop.verify_password(password.bytes(), &kept).is_ok())
        });
        Ok(same.await? && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Workshop) -> T + Send + 'static) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |workshop| {
            if !reply.is_closed() {
                let _ = reply.send(work(workshop)); // whoever asked may leave meanwhile
            }
        });
        self.jobs.try_send(job).map_err(|_| Error::Crowded)?;
        answer.await.map_err(|_| Error::Crowded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_password_is_left_once_it_is_wiped() {
        let workshop = Workshop::default();
        workshop.hash_password(b"correct horse").unwrap();
        let is_blank = || workshop.0.borrow().iter().all(|block| block.as_ref().iter().all(|word| *word == 0));
        assert!(!workshop.0.borrow().is_empty() && !is_blank());
        workshop.wipe();
        assert!(is_blank());
    }

    #[tokio::test]
    async fn a_password_matches_itself_only() {
        let hasher = Hasher::new(1, 8);
        let kept = hasher.hash(Password::typed("correct horse")).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(hasher.verify(Password::typed("correct horse"), Some(kept.clone())).await.unwrap());
        assert!(!hasher.verify(Password::typed("correct house"), Some(kept)).await.unwrap());
        assert!(!hasher.verify(Password::typed("nobody's"), None).await.unwrap());
    }

    /// So that other implementations read what is kept here, and this one reads what was kept before; and nobody's hash
    /// costs what others cost.
    #[test]
    fn a_hash_is_what_argon2_makes_of_it() {
        let (workshop, argon2) = (Workshop::default(), Argon2::new(Algorithm::Argon2id, Version::V0x13, params()));
        for password in [b"correct horse", b"correct house"] {
            let kept = workshop.hash_password(password).unwrap();
            assert!(argon2.verify_password(password, &kept).is_ok());
            assert!(workshop.verify_password(password, &argon2.hash_password(password).unwrap()).is_ok());
            let nobody = PasswordHash::new(NOBODY).unwrap();
            assert_eq!((nobody.algorithm, nobody.version, nobody.params), (kept.algorithm, kept.version, kept.params));
            let length = |hash: Option<Output>| hash.map(|hash| hash.len());
            assert_eq!(length(nobody.hash), length(kept.hash));
        }
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
