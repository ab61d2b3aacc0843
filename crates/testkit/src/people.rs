//! Who uses a shop in tests: an administrator, a clerk, customers.
use crate::{Actor, Shop, shop::ADMIN};
use serde_json::json;
use std::{collections::HashMap, sync::Arc};

impl Shop {
    pub fn anonymous(&self) -> Actor {
        Actor::new(self.url.clone(), Arc::clone(&self.contract))
    }
    /// The administrator; signs in once a run.
    pub async fn admin(&self) -> Actor {
        self.admin_of(&mut *self.staff.lock().await).await
    }
    async fn admin_of(&self, held: &mut HashMap<&'static str, String>) -> Actor {
        let (email, password) = ADMIN;
        self.signed_in_once(held, "admin", email, password).await
    }
    /// Somebody who is staff, but no administrator.
    pub async fn staff(&self) -> Actor {
        let (email, password) = ("staff@test.example", "a clerk's password");
        let mut held = self.staff.lock().await;
        if !held.contains_key("staff") {
            let body = json!({ "email": email, "password": password, "name": "Clerk" });
            let made = self.anonymous().post("/v1/users", body).send().await;
            if made.status == 201 {
                let id = made.text("/id");
                let admin = self.admin_of(&mut held).await;
                admin.patch(&format!("/v1/users/{id}"), json!({ "roles": ["staff"] })).send().await.expect(200);
            }
        }
        self.signed_in_once(&mut held, "staff", email, password).await
    }
    /// A new customer each time.
    pub async fn customer(&self) -> Actor {
        let email = format!("{}@test.example", crate::unique("customer"));
        let anonymous = self.anonymous();
        anonymous
            .post("/v1/users", json!({ "email": email, "password": "a customer's password", "name": "Customer" }))
            .send()
            .await
            .expect(201);
        anonymous.signed_in(&email, "a customer's password").await
    }
    async fn signed_in_once(
        &self,
        held: &mut HashMap<&'static str, String>,
        role: &'static str,
        email: &str,
        password: &str,
    ) -> Actor {
        if let Some(token) = held.get(role) {
            return self.anonymous().bearer(token);
        }
        let actor = self.anonymous().signed_in(email, password).await;
        held.insert(role, actor.token().expect("signed in").to_owned());
        actor
    }
}
