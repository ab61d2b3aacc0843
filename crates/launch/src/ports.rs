//! Free ports on loopback, known before anybody listens.
//!
//! A process must be told where its neighbours will be before they are there, and find them there again after a restart.
//! So ports come from below the range that the system gives to whoever asks for any, in blocks: who holds a block's
//! lock file has its ports, until it ends.
use crate::{Failed, Result, error::Context};
use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

const FIRST: u16 = 20_000;
const BLOCK: u16 = 20;
const BLOCKS: u16 = 600;

pub(crate) struct Ports {
    next: u16,
    end: u16,
    _lock: File,
}

impl Ports {
    pub(crate) fn take() -> Result<Self> {
        let folder = folder();
        fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
        for block in 0..BLOCKS {
            let path = folder.join(block.to_string());
            let lock = File::create(&path).context(format_args!("cannot create {}", path.display()))?;
            let next = FIRST + block * BLOCK;
            let end = next + BLOCK;
            if lock.try_lock().is_ok() && (next..end).all(is_free) {
                return Ok(Self { next, end, _lock: lock });
            }
        }
        Err(Failed(format!(
            "no {BLOCK} ports in a row are free on loopback between {FIRST} and {}",
            FIRST + BLOCK * BLOCKS
        )))
    }

    pub(crate) fn next(&mut self) -> Result<SocketAddr> {
        if self.next == self.end {
            return Err(Failed(format!("a shop has {BLOCK} ports, and all are given away")));
        }
        self.next += 1;
        Ok((Ipv4Addr::LOCALHOST, self.next - 1).into())
    }
}

/// A folder a user: nobody can lock the files of another.
fn folder() -> PathBuf {
    let user = fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or_default();
    env::temp_dir().join(format!("cleave-ports-{user}"))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn two_shops_share_no_port() {
        let (mut one, mut other) = (Ports::take().unwrap(), Ports::take().unwrap());
        let mut all = BTreeSet::new();
        for ports in [&mut one, &mut other] {
            all.extend((0..BLOCK).map(|_| ports.next().unwrap()));
            assert!(ports.next().unwrap_err().to_string().contains("given away"));
        }
        assert_eq!(all.len(), usize::from(BLOCK) * 2);
        assert!(all.into_iter().all(|address| is_free(address.port())));
    }
}
