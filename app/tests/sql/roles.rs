//! No statement of one domain reaches another's tables.
use super::quiet;
use testkit::Backend;

#[test]
fn a_domain_reads_no_other_domains_tables() {
    let shop = quiet();
    let domains = [("users", "users"), ("products", "products"), ("orders", "orders"), ("webhooks", "endpoints")];
    match shop.backend {
        Backend::Postgres => {
            for (domain, table) in domains {
                shop.with_rights_of(domain, &format!("SELECT * FROM {domain}.{table}")).expect("its own tables");
                for (other, table) in domains.iter().filter(|(other, _)| *other != domain) {
                    for statement in [format!("SELECT * FROM {other}.{table}"), format!("DELETE FROM {other}.{table}")]
                    {
                        let refused = shop.with_rights_of(domain, &statement).expect_err("another's tables");
                        assert!(refused.contains("permission denied"), "{domain}: {statement}: {refused}");
                    }
                }
                let made = format!("CREATE TABLE public.{domain}_was_here (id int)");
                assert!(shop.with_rights_of(domain, &made).is_err(), "{domain} makes tables beside its schema");
            }
        }
        // Files instead of roles: a connection to one has the tables of its domain and no others.
        Backend::Sqlite => {
            for (domain, table) in domains {
                let there = |table: &str| {
                    let named = format!(
                        "SELECT count(*) AS number FROM sqlite_schema WHERE type = 'table' AND name = '{table}'"
                    );
                    shop.number(domain, &named) == 1
                };
                assert!(there(table), "{domain} has a file of its own");
                assert!(domains.iter().filter(|(other, _)| *other != domain).all(|(_, table)| !there(table)));
            }
        }
    }
}
