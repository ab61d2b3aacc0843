//! What the shop has of its Stripe account is read from the environment, and shown to nobody.
use std::process::{Command, Output, Stdio};

fn config(env: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleave"));
    command.arg("config").current_dir(folder.path()).env("CLEAVE__PAYMENTS__PROVIDERS", "manual,stripe");
    let env = env.iter().map(|(name, value)| (format!("CLEAVE__PAYMENTS__STRIPE__{name}"), value));
    command.envs(env).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn secrets_are_never_shown() {
    let good = [("SECRET_KEY", "sk_live_hidden"), ("WEBHOOK_SECRETS", "whsec_hidden,whsec_hidden_too")];
    let shown = config(&good);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && !text.contains("hidden"), "{text}");
    assert_eq!(text.matches("***").count(), 3, "{text}");
    let wrong = [good[0], ("SECRET_KEY", "sk_live hidden"), good[1], ("BASE_URL", "http://evil.example/hidden")];
    let refused = config(&wrong);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && !told.contains("hidden"), "{told}");
    assert!(told.contains("payments.stripe.secret_key") && told.contains("payments.stripe.base_url"), "{told}");
}

#[test]
fn what_is_missing_is_told() {
    let refused = config(&[]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{told}");
    for missing in ["payments.stripe.secret_key", "payments.stripe.webhook_secrets"] {
        assert!(told.contains(missing), "{missing}: {told}");
    }
}
